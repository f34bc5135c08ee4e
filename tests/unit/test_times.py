"""The table of what people wait for is the one of the measurements; measures nothing."""

from benchmarks import times
from tests.generated import require_section


def test_the_document_has_the_figures_that_were_measured() -> None:
    require_section("docs/architecture.md", "times", times.table(times.results()))


def test_a_row_shows_the_median_and_what_is_not_measured_says_so() -> None:
    lines = times.table({"preview": [2.4, 9.0, 2.6], "lab-cold": [400.4]}).splitlines()
    assert "| `pulumi preview` of the lab's stack | 7.0 s | 3.0 s | 2.6 s | 3 |" in lines
    assert "| `make lab` with nothing built | 7:21 min | 6:30 min | 6:40 min | 1 |" in lines
    assert "| `make test-unit` | 4:00 min | 1:15 min | not measured | 0 |" in lines
