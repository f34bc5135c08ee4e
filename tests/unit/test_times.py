"""Proves that the table in docs/architecture.md has the measured times. Measures nothing."""

from benchmarks import times
from tests.generated import require_section


def test_the_document_has_the_measured_times() -> None:
    require_section("docs/architecture.md", "times", times.table(times.results()))


def test_a_row_shows_the_median_or_that_nothing_was_measured() -> None:
    lines = times.table({"preview": [2.4, 9.0, 2.6], "lab-cold": [400.4]}).splitlines()
    assert "| `pulumi preview` of the lab's stack | 7.0 s | 3.0 s | 2.6 s | 3 |" in lines
    assert "| `make lab` with nothing built | 7:21 min | 6:30 min | 6:40 min | 1 |" in lines
    assert "| `make test-unit` | 4:00 min | 1:15 min | not measured | 0 |" in lines
