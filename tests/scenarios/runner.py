"""Runs one fault case: a steady stream, captures, the fault, the wait for healing, the verdict."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.progress import phase, say
from tests.scenarios import operations, outages, report, sites
from tests.scenarios.captures import Captures, Place, Violation, capturing, places
from tests.scenarios.cases import EVERYBODY, Case, Talkers
from tests.scenarios.endpoint import RATE, WEB_SECONDS
from tests.scenarios.report import Flow, Result
from tests.scenarios.sites import Pair
from tests.scenarios.stream import IN_FLIGHT_SECONDS, WAYS, Stream, Way

STEADY_SECONDS: Final = 3.0
"""Traffic flows when for so long not one packet was lost."""

_SETTLE_SECONDS = 120.0
_BASELINE_SECONDS = 1.0
_PROBE_GRACE_SECONDS = WEB_SECONDS
"""A request to the web server takes as long before it counts as failed: one that began earlier was hit, too."""
_POLL_SECONDS = 0.3
_MOST_LEAKS_TOLD = 50


class NotSteadyError(Exception):
    """The stream does not flow before the fault: an earlier one has not healed."""


def run(case: Case, stream: Stream, *, at: Sequence[Place] | None = None) -> Result:
    """Run a case on the pair as it is now. Captures and the gateways' journals are kept when something does not hold.

    Raises NotSteadyError when the stream does not flow to begin with, and whatever the fault's own action raises.
    """
    pair = sites.find()
    settle(stream, case.talkers)
    folder = report.FOLDER / "captures" / case.name
    with phase(f"{case.name}: {case.title}"):
        with capturing(at or places(pair), folder, stream.marker) as captures:
            time.sleep(_BASELINE_SECONDS)
            began = time.time()
            try:
                ended = case.act(pair)
                say(f"{case.name}: the cause lasted {ended - began:.1f} s")
                patience = max(ended + case.patience_seconds, time.time() + 3 * STEADY_SECONDS)
                wait_until_steady(stream, case.talkers, since=ended, deadline=patience)
                measured = time.time() - IN_FLIGHT_SECONDS
            finally:
                if case.restore:
                    case.restore(pair)
        result = evaluate(case, stream, captures, Times(began, ended, measured))
    conclude(result, captures, sites.find(), folder)
    return result


class Times:
    """When things happened, seconds since the epoch."""

    def __init__(self, began: float, ended: float, measured: float) -> None:
        self.began, self.ended, self.measured = began, ended, measured


def evaluate(case: Case, stream: Stream, captures: Captures, times: Times) -> Result:
    """Return what a case has shown."""
    return Result(
        name=case.name,
        title=case.title,
        expectation=case.expectation,
        began=times.began,
        cause_seconds=times.ended - times.began,
        seconds=times.measured - times.began,
        flows=tuple(_flow(stream, way, times) for way in ways(case.talkers)),
        leaks=tuple(_told(captures.violations, times.began)),
        captured=captures.packets,
        dropped=captures.dropped,
        probes_lost=tuple(_lost_probes(case, stream, times)),
    )


def conclude(result: Result, captures: Captures, pair: Pair, folder: Path) -> None:
    """Say how a case went; keep its captures and the gateways' journals when it failed, else delete them."""
    for flow in result.flows:
        say(f"{result.name}: {flow.way} lost {flow.lost_seconds:.1f} s, healed {flow.healed_after:.1f} s after it")
    say(f"{result.name}: {captures.packets} packets captured, {len(result.leaks)} leaked")
    kept = report.FOLDER / "failed" / result.name
    shutil.rmtree(kept, ignore_errors=True)
    if result.failures:
        for failure in result.failures:
            say(f"{result.name}: {failure}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, kept)
        for gateway, text in operations.saved_states(pair).items():
            (kept / f"{gateway}.txt").write_text(text)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def settle(stream: Stream, talkers: Talkers = EVERYBODY) -> None:
    """Let `talkers` talk, and wait until what they say flows. Raises NotSteadyError after two minutes."""
    now = time.time()
    stream.send(EVERYBODY)
    if not wait_until_steady(stream, EVERYBODY, since=now, deadline=now + _SETTLE_SECONDS):
        raise NotSteadyError(f"the stream does not flow both ways within {_SETTLE_SECONDS:.0f} s before the fault")
    if talkers != EVERYBODY:
        now = time.time()
        stream.send(talkers)
        wait_until_steady(stream, talkers, since=now, deadline=now + _SETTLE_SECONDS)


def wait_until_steady(stream: Stream, talkers: Talkers, *, since: float, deadline: float) -> bool:
    """Wait until every direction has flowed for STEADY_SECONDS since a moment; False when it does not by `deadline`."""
    while True:
        now = time.time()
        if now - IN_FLIGHT_SECONDS - STEADY_SECONDS >= since and all(
            is_steady(stream, way, now) for way in ways(talkers)
        ):
            return True
        if now > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def is_steady(stream: Stream, way: Way, now: float) -> bool:
    """Say whether a direction has lost nothing in the STEADY_SECONDS before what may still be on its way."""
    end = now - IN_FLIGHT_SECONDS
    begin = end - STEADY_SECONDS
    # A busy machine may send late, but not half as much.
    return outages.is_steady(stream.crossings(way, begin), begin, end, packets=int(RATE * STEADY_SECONDS / 2))


def ways(talkers: Talkers) -> list[Way]:
    """Return the directions in which somebody sends UDP."""
    return [way for way in WAYS if "udp" in talkers.get(way[0], ())]


def _flow(stream: Stream, way: Way, times: Times) -> Flow:
    crossings = stream.crossings(way, times.began)
    found = outages.outages(crossings, times.began, times.measured)
    return Flow(
        way="->".join(way),
        outages=tuple(outages.Outage(one.start - times.began, one.seconds, one.packets) for one in found),
        sent=len(outages.between(crossings, times.began, times.measured)),
        lost_seconds=outages.lost_seconds(found),
        healed_after=outages.healed_after(found, times.ended),
        first_after=outages.first_arrival_after(crossings, times.ended),
        is_steady=outages.is_steady(crossings, times.measured - STEADY_SECONDS, times.measured, packets=1),
    )


def _told(violations: Sequence[Violation], began: float) -> list[str]:
    told = [f"{violation.at - began:+.2f} s {violation}" for violation in violations[:_MOST_LEAKS_TOLD]]
    rest = len(violations) - len(told)
    return [*told, f"and {rest} more"] if rest else told


def _lost_probes(case: Case, stream: Stream, times: Times) -> list[str]:
    lost = []
    for name, _ in WAYS:
        for probe in stream.probes(name, times.began):
            excused = name in case.down and probe.sent < times.ended + _PROBE_GRACE_SECONDS
            if probe.received is None and probe.sent < times.measured - _PROBE_GRACE_SECONDS and not excused:
                lost.append(f"{name} {probe.sent - times.began:+.1f} s")
    return lost
