"""Proves that all lists of tiers are the same, and that a run of tiers reports what it does. Runs no real tier."""

import re
import sys
from pathlib import Path

import pytest

from tests import tiers
from tests.generated import ROOT, require_section
from tests.tiers import Tier

ALL = (*tiers.TEST, *tiers.REST)


def tier_of(name: str, *, minutes: float = 1, code: int = 0) -> Tier:
    command = (sys.executable, "-c", f"import sys; print('{name} runs', flush=True); sys.exit({code})")
    return Tier(name=name, what="nothing", minutes=minutes, commands=(command,))


@pytest.mark.parametrize("tier", ALL, ids=lambda tier: tier.name)
def test_make_help_describes_a_tier_like_the_list(tier: Tier) -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    assert f"test-{tier.name}: setup ## {tier.what} ({tier.minutes:g} min)" in lines


def test_the_document_has_the_list_of_tiers() -> None:
    require_section("docs/architecture.md", "test", tiers.table(tiers.TEST))
    require_section("docs/architecture.md", "test-all", tiers.table(tiers.REST))


@pytest.mark.xfail(strict=True, reason="not reached; strict, so that this mark goes when it is")
def test_make_test_takes_at_most_a_quarter_of_an_hour() -> None:
    assert sum(tier.minutes for tier in tiers.TEST) <= 15


def test_make_test_takes_as_long_as_the_readme_says() -> None:
    found = re.search(r"make test .*\((\d+) to (\d+) minutes", (ROOT / "README.md").read_text())
    assert found
    assert int(found[1]) <= sum(tier.minutes for tier in tiers.TEST) <= int(found[2])


def test_tiers_run_in_order_until_one_fails_and_its_logs_are_kept(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    console = tmp_path / "logs/machines/i-1.log"
    console.parent.mkdir(parents=True)
    console.write_text("Kernel panic\n")
    monkeypatch.setattr("lab.settings.LOGS", tmp_path / "logs")
    monkeypatch.setattr("lab.settings.ROOT", tmp_path)
    monkeypatch.setattr(tiers, "FAILED", tmp_path / "failed")
    assert tiers.run([tier_of("one"), tier_of("two", code=3), tier_of("three")]) == 1
    output, progress = capfd.readouterr()
    assert output.splitlines() == ["one runs", "two runs"]
    assert "1 of 3: one (nothing), about 1 min; then 2 min more" in progress
    assert [line.split()[1:3] for line in progress.splitlines()[-5:-2]] == [
        ["one", "passed"],
        ["two", "FAILED"],
        ["three", "not"],
    ]
    assert "exits with 3" in progress.splitlines()[-1]
    assert (tmp_path / "failed/two/machines/i-1.log").read_text() == "Kernel panic\n"


def test_a_tier_that_does_not_fit_into_the_time_is_left_out_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert tiers.run([tier_of("long", minutes=10), tier_of("short", minutes=1)], within=120) == 0
    output, progress = capfd.readouterr()
    assert output.splitlines() == ["short runs"]
    assert "long        left out: takes about 10 min, too long; run `make test-long`" in progress


def test_ci_runs_the_readmes_command_and_then_the_rest_within_45_minutes() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert script.index("\nmake test\n") < script.index("make test-rest WITHIN=$((45 * 60 ")
