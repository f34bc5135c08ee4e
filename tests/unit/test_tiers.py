"""The list of tiers is the same everywhere, and a run of tiers says what it does. Runs no tier."""

import sys
from pathlib import Path

import pytest

from tests import tiers
from tests.generated import ROOT, require_section
from tests.tiers import Tier

ALL = (*tiers.TEST, *tiers.REST)


def made(name: str, *, minutes: float = 1, code: int = 0) -> Tier:
    command = (sys.executable, "-c", f"import sys; print('{name} runs', flush=True); sys.exit({code})")
    return Tier(name=name, what="nothing", minutes=minutes, commands=(command,))


@pytest.mark.parametrize("tier", ALL, ids=lambda tier: tier.name)
def test_make_help_says_of_a_tier_what_the_list_says(tier: Tier) -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    assert f"test-{tier.name}: setup ## {tier.what} ({tier.minutes:g} min)" in lines


def test_the_document_says_of_the_tiers_what_the_list_says() -> None:
    require_section("docs/architecture.md", "test", tiers.table(tiers.TEST))
    require_section("docs/architecture.md", "test-all", tiers.table(tiers.REST))


def test_make_test_is_a_quarter_of_an_hour() -> None:
    assert sum(tier.minutes for tier in tiers.TEST) <= 15


def test_tiers_run_in_order_until_one_fails_whose_logs_are_kept(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    console = tmp_path / "logs/machines/i-1.log"
    console.parent.mkdir(parents=True)
    console.write_text("Kernel panic\n")
    monkeypatch.setattr("lab.settings.LOGS", tmp_path / "logs")
    monkeypatch.setattr("lab.settings.ROOT", tmp_path)
    monkeypatch.setattr(tiers, "FAILED", tmp_path / "failed")
    assert tiers.run([made("one"), made("two", code=3), made("three")]) == 1
    output, told = capfd.readouterr()
    assert output.splitlines() == ["one runs", "two runs"]
    assert "1 of 3: one (nothing), about 1 min; then 2 min more" in told
    assert [line.split()[1:3] for line in told.splitlines()[-5:-2]] == [
        ["one", "passed"],
        ["two", "FAILED"],
        ["three", "not"],
    ]
    assert "exits with 3" in told.splitlines()[-1]
    assert (tmp_path / "failed/two/machines/i-1.log").read_text() == "Kernel panic\n"


def test_what_does_not_fit_into_the_time_is_left_out_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert tiers.run([made("long", minutes=10), made("short", minutes=1)], within=120) == 0
    output, told = capfd.readouterr()
    assert output.splitlines() == ["short runs"]
    assert "long        left out: it takes about 10 min" in told


def test_ci_runs_the_readmes_command_and_then_the_rest_within_45_minutes() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert script.index("\nmake test\n") < script.index("make test-rest WITHIN=$((45 * 60 ")
