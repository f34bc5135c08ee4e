"""Proves that all lists of tiers are the same, and that a run of tiers reports what it does. Runs no real tier."""

import re
import sys
from pathlib import Path

import pytest

from tests import tiers
from tests.background import Background
from tests.generated import ROOT, require_section
from tests.tiers import Tier

ALL = (*tiers.TEST, *tiers.REST)
FOREGROUND = sum(tier.minutes for tier in tiers.TEST if not tier.in_background)


def tier_of(name: str, *, minutes: float = 1, code: int = 0, then: str = "pass", in_background: bool = False) -> Tier:
    lines = ["import pathlib, sys, time", f"print('{name} runs', flush=True)", then, f"sys.exit({code})"]
    command = (sys.executable, "-c", "; ".join(lines))
    return Tier(name=name, what="nothing", minutes=minutes, commands=(command,), in_background=in_background)


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the tiers write to a folder of the test's own, and return it."""
    for name, path in {"ROOT": "", "STATE": ".lab", "LOGS": ".lab/logs"}.items():
        monkeypatch.setattr(f"lab.settings.{name}", tmp_path / path)
    monkeypatch.setattr(tiers, "FAILED", tmp_path / ".lab/failed")
    return tmp_path


@pytest.mark.parametrize("tier", ALL, ids=lambda tier: tier.name)
def test_make_help_describes_a_tier_like_the_list(tier: Tier) -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()
    assert f"test-{tier.name}: setup ## {tier.what} ({tier.minutes:g} min)" in lines


def test_the_document_has_the_list_of_tiers() -> None:
    require_section("docs/architecture.md", "test", tiers.table(tiers.TEST))
    require_section("docs/architecture.md", "test-all", tiers.table(tiers.REST))


def test_make_test_takes_at_most_a_quarter_of_an_hour() -> None:
    assert FOREGROUND <= 15


def test_make_test_takes_as_long_as_the_readme_says() -> None:
    found = re.search(r"make test .*\((\d+) to (\d+) minutes", (ROOT / "README.md").read_text())
    assert found
    assert int(found[1]) <= FOREGROUND <= int(found[2])


def test_tiers_run_in_order_until_one_fails_and_its_logs_are_kept(
    capfd: pytest.CaptureFixture[str], root: Path
) -> None:
    console = root / ".lab/logs/machines/i-1.log"
    console.parent.mkdir(parents=True)
    console.write_text("Kernel panic\n")
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
    assert (root / ".lab/failed/two/machines/i-1.log").read_text() == "Kernel panic\n"


def results(capfd: pytest.CaptureFixture[str]) -> tuple[list[str], dict[str, str]]:
    """Return the output's lines, and the results of the run by tier."""
    output, progress = capfd.readouterr()
    lines = [line.removeprefix("tests: ").split(maxsplit=1) for line in progress.splitlines()]
    return output.splitlines(), {line[0]: line[1] for line in lines}


def touch(name: str) -> str:
    return f"pathlib.Path('{name}').touch()"


def wait_for(name: str) -> str:
    return f"all(time.sleep(0.05) or True for _ in iter(pathlib.Path('{name}').exists, True))"


def test_a_tier_in_the_background_runs_beside_the_next_one_and_its_output_comes_at_the_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)
    # Each waits for the other, so that they end only if they run at the same time.
    beside = tier_of("beside", in_background=True, then=f"{touch('one')}; {wait_for('two')}")
    assert tiers.run([beside, tier_of("long", then=f"{touch('two')}; {wait_for('one')}")]) == 0
    output, rows = results(capfd)
    assert output == ["long runs", "beside runs"]
    assert re.fullmatch(r"passed in \d+:\d\d min, in the background", rows["beside"])


def test_a_tier_in_the_background_that_fails_makes_the_run_fail(capfd: pytest.CaptureFixture[str]) -> None:
    assert tiers.run([tier_of("beside", in_background=True, code=3), tier_of("next")]) == 1
    output, rows = results(capfd)
    assert output == ["next runs", "beside runs"]
    assert rows["beside"].startswith("FAILED after")
    assert rows["next"].startswith("passed")


def test_no_tier_begins_after_one_has_failed_in_the_background(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setattr(Background, "has_ended", property(lambda self: self.wait() is not None))
    assert tiers.run([tier_of("beside", in_background=True, code=3), tier_of("next"), tier_of("last")]) == 1
    output, rows = results(capfd)
    assert output == ["next runs", "beside runs"]
    assert rows["last"] == "not run"
    assert (root / ".lab/failed/beside/beside.log").read_text() == "beside runs\n"


def test_a_tier_that_fails_interrupts_the_one_in_the_background(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.chdir(root)
    beside = tier_of("beside", in_background=True, then=f"{touch('there')}; time.sleep(600)")
    assert tiers.run([beside, tier_of("next", then=wait_for("there"), code=3)]) == 1
    _, rows = results(capfd)
    assert rows["beside"] == "interrupted"
    assert rows["next"].startswith("FAILED after")
    assert "KeyboardInterrupt" in (root / ".lab/tests/beside.log").read_text()


def test_the_last_tier_of_a_run_is_never_in_the_background(capfd: pytest.CaptureFixture[str]) -> None:
    assert tiers.run([tier_of("alone", in_background=True)]) == 0
    assert "background" not in capfd.readouterr().err


def test_a_tier_that_does_not_fit_into_the_time_is_left_out_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert tiers.run([tier_of("long", minutes=10), tier_of("short", minutes=1)], within=120) == 0
    output, progress = capfd.readouterr()
    assert output.splitlines() == ["short runs"]
    assert "long        left out: takes about 10 min, too long; run `make test-long`" in progress


def test_ci_runs_the_readmes_command_and_then_the_rest_within_45_minutes() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert script.index("\nmake test\n") < script.index("make test-rest WITHIN=$((45 * 60 ")
