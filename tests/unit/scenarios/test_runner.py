"""A scenario runs in order: the fault, the wait until traffic flows, what restores the rest. Without machines."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import report, runner
from tests.scenarios.captures import Captures
from tests.scenarios.outages import Crossing
from tests.scenarios.scenario import Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Way

FAULT_SECONDS = 0.3
PAIR: Any = Pair(None, None)  # type: ignore[arg-type]  # not used


class FakeStream:
    """A stream that loses what is sent during the fault, a packet each 0.02 s."""

    marker = b"marker"

    def __init__(self) -> None:
        self.lost_from = self.lost_until = 0.0

    def crossings(self, _way: Way, since: float) -> list[Crossing]:
        """Return the packets since a moment."""
        count = int((time.time() - since) / 0.02)
        sent = [since + 0.02 * number for number in range(count)]
        return [Crossing(n, at, None if self.lost_from <= at < self.lost_until else at) for n, at in enumerate(sent)]

    def probes(self, _site: str, _since: float) -> Sequence[Crossing]:
        """Return no requests."""
        return ()


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Let the runner use no lab; return a list for what happens."""
    happened: list[str] = []

    @contextmanager
    def no_capture(*_: Any) -> Iterator[Captures]:
        (tmp_path / "captures" / "example").mkdir(parents=True)
        captures = Captures([], [])
        yield captures
        happened.append("captured")

    monkeypatch.setattr(runner, "capturing", no_capture)
    monkeypatch.setattr("tests.scenarios.sites.find", lambda: PAIR)
    monkeypatch.setattr(runner, "places", lambda _: [])
    monkeypatch.setattr(Pair, "gateways", ())
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    for name, value in {"STEADY_SECONDS": 0.4, "IN_FLIGHT_SECONDS": 0.1, "_BASELINE_SECONDS": 0.1, "RATE": 10}.items():
        monkeypatch.setattr(runner, name, value)
    return happened


def scenario(stream: FakeStream, happened: list[str], *, heals: bool = True) -> Scenario:
    def steps(_pair: Pair, _variant: Variant) -> Steps:
        stream.lost_from, stream.lost_until = time.time(), float("inf")
        time.sleep(FAULT_SECONDS)
        if heals:
            stream.lost_until = time.time()
        try:
            yield
        finally:
            happened.append("restored")

    return Scenario(
        name="example",
        title="an example",
        description="It breaks. It heals.",
        expectation=Expectation(limit_seconds=0.2),
        steps=steps,
        seconds=FAULT_SECONDS,
    )


def test_the_fault_ends_at_the_yield_and_the_rest_is_restored_before_the_captures_end(journal: list[str]) -> None:
    stream: Any = FakeStream()
    result = runner.observe(scenario(stream, journal), PAIR, stream)
    assert journal == ["restored", "captured"]
    assert result.cause_seconds >= FAULT_SECONDS
    assert [flow.way for flow in result.flows] == ["uk->au", "au->uk"]
    for flow in result.flows:
        assert flow.is_steady
        assert FAULT_SECONDS - 0.05 < flow.lost_seconds < result.cause_seconds + 0.1
    # No capture ran, so nothing is proved.
    assert result.failures == ("the captures saw nothing at all, so nothing is proved",)


def test_traffic_that_does_not_come_back_is_a_failure_and_the_captures_are_kept(
    journal: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "_PATIENCE_SECONDS", 1.0)
    stream: Any = FakeStream()
    case = scenario(stream, journal, heals=False)
    result = runner.observe(case, PAIR, stream)
    assert "uk->au: has not healed" in result.failures[0]
    assert (tmp_path / "failed" / "example").is_dir()
    assert journal == ["restored", "captured"]
