"""Runs one scenario: a steady stream, captures, the fault, the wait for healing, the verdict."""

import shutil
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.progress import phase, say
from tests.scenarios import outages, report, sites
from tests.scenarios.captures import Captures, Place, Violation, capturing, places
from tests.scenarios.endpoint import RATE, WEB_SECONDS
from tests.scenarios.gateway import Gateway
from tests.scenarios.report import Flow, Result
from tests.scenarios.scenario import BOTH_SEND, Scenario, Senders
from tests.scenarios.sites import Pair
from tests.scenarios.stream import IN_FLIGHT_SECONDS, WAYS, Stream, Way

STEADY_SECONDS: Final = 3.0
"""Traffic flows when no packet was lost for so long."""

_SETTLE_SECONDS = 300.0
_PATIENCE_SECONDS = 300.0
"""How long after the end of the fault to wait for traffic before giving up."""
_BASELINE_SECONDS = 1.0
_PROBE_GRACE_SECONDS = WEB_SECONDS
"""A request to the web server may take so long. So neither the last requests count, nor the first after an outage."""
_POLL_SECONDS = 0.3
_MOST_LEAKS_SHOWN = 50

_STATE = (
    "journalctl --no-pager -b -n 2000 -o short-precise",
    "ipsec status",
    "ip -s xfrm state",
    "ip xfrm policy",
    "iptables -nvxL",
    "iptables -t nat -nvxL",
    "cat /proc/net/xfrm_stat",
)
"""Commands that show most about a gateway after a failure."""


class NotSteadyError(Exception):
    """The stream does not flow before the fault: an earlier fault has not healed."""


@dataclass(frozen=True)
class Times:
    """The moments of a scenario, in seconds since the epoch."""

    began: float
    """The fault begins."""
    ended: float
    """The fault ends."""
    measured: float
    """What was sent later is not looked at."""


def run(scenario: Scenario, stream: Stream, *, at: Sequence[Place] | None = None) -> Result:
    """Run a scenario on the pair as it is now. Keep the captures and the gateways' journals when something fails.

    Raises NotSteadyError when the stream does not flow before the fault, and what the scenario's steps raise.
    """
    pair = sites.find()
    settle(stream, scenario.senders)
    return observe(scenario, pair, stream, at=at)


def observe(scenario: Scenario, pair: Pair, stream: Stream, *, at: Sequence[Place] | None = None) -> Result:
    """Run a scenario although the stream may not flow before the fault."""
    folder = report.FOLDER / "captures" / scenario.name
    with phase(f"{scenario.name}: {scenario.title}"):
        with capturing(at or places(pair), folder, stream.marker) as captures:
            time.sleep(_BASELINE_SECONDS)
            began = time.time()
            with contextmanager(scenario.steps)(pair, scenario):
                ended = time.time()
                say(f"{scenario.name}: the fault lasted {ended - began:.1f} s")
                deadline = ended + _PATIENCE_SECONDS
                wait_until_steady(stream, scenario.senders, since=ended, deadline=deadline)
                measured = time.time() - IN_FLIGHT_SECONDS
        result = _evaluate(scenario, stream, captures, Times(began, ended, measured))
    _conclude(result, captures, sites.find(), folder)
    return result


def _evaluate(scenario: Scenario, stream: Stream, captures: Captures, times: Times) -> Result:
    """Return the result of a scenario."""
    return Result(
        name=scenario.name,
        title=scenario.title,
        expectation=scenario.expectation,
        began=times.began,
        cause_seconds=times.ended - times.began,
        seconds=times.measured - times.began,
        flows=tuple(_flow(stream, way, times) for way in ways(scenario.senders)),
        leaks=tuple(_leaks(captures.violations, times.began)),
        captured=captures.packets,
        dropped=captures.dropped,
        probes_lost=tuple(_lost_probes(scenario, stream, times)),
    )


def _conclude(result: Result, captures: Captures, pair: Pair, folder: Path) -> None:
    """Print the result. Keep the captures and the gateways' journals when the scenario failed, else delete them."""
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
        for gateway in pair.gateways:
            (kept / f"{gateway.name}.txt").write_text(state(gateway))
    else:
        shutil.rmtree(folder, ignore_errors=True)


def state(gateway: Gateway) -> str:
    """Return what a gateway shows about itself. If it does not answer, the text says why."""
    text = ""
    for command in _STATE:
        try:
            done = gateway.ask(command, timeout=20)
            text += f"# {command}\n{done.stdout}{done.stderr}\n"
        except Exception as error:
            text += f"# {command}\n{type(error).__name__}: {error}\n"
    return text


def settle(stream: Stream, senders: Senders = BOTH_SEND) -> None:
    """Let `senders` send, and wait until their packets arrive. Raises NotSteadyError after five minutes."""
    now = time.time()
    stream.send(BOTH_SEND)
    if not wait_until_steady(stream, BOTH_SEND, since=now, deadline=now + _SETTLE_SECONDS):
        raise NotSteadyError(f"the stream does not flow both ways within {_SETTLE_SECONDS:.0f} s before the fault")
    if senders != BOTH_SEND:
        now = time.time()
        stream.send(senders)
        wait_until_steady(stream, senders, since=now, deadline=now + _SETTLE_SECONDS)


def wait_until_steady(stream: Stream, senders: Senders, *, since: float, deadline: float) -> bool:
    """Wait until every direction has flowed for STEADY_SECONDS since a moment. Return False at the deadline."""
    while True:
        now = time.time()
        if now - IN_FLIGHT_SECONDS - STEADY_SECONDS >= since and all(
            is_steady(stream, way, now) for way in ways(senders)
        ):
            return True
        if now > deadline:
            return False
        time.sleep(_POLL_SECONDS)


def is_steady(stream: Stream, way: Way, now: float) -> bool:
    """Return whether a direction lost nothing in the last STEADY_SECONDS, without what may still be on its way."""
    end = now - IN_FLIGHT_SECONDS
    begin = end - STEADY_SECONDS
    # A busy machine may send late, but it sends at least half.
    return outages.is_steady(stream.crossings(way, begin), begin, end, packets=int(RATE * STEADY_SECONDS / 2))


def ways(senders: Senders) -> list[Way]:
    """Return the directions in which UDP is sent."""
    return [way for way in WAYS if "udp" in senders.get(way[0], ())]


def _flow(stream: Stream, way: Way, times: Times) -> Flow:
    crossings = stream.crossings(way, times.began)
    gaps = outages.outages(crossings, times.began, times.measured)
    return Flow(
        way="->".join(way),
        outages=tuple(outages.Outage(one.start - times.began, one.seconds, one.packets) for one in gaps),
        sent=len(outages.between(crossings, times.began, times.measured)),
        lost_seconds=outages.lost_seconds(gaps),
        healed_after=outages.healed_after(gaps, times.ended),
        first_after=outages.first_arrival_after(crossings, times.ended),
        is_steady=outages.is_steady(crossings, times.measured - STEADY_SECONDS, times.measured, packets=1),
    )


def _leaks(violations: Sequence[Violation], began: float) -> list[str]:
    shown = [f"{violation.at - began:+.2f} s {violation}" for violation in violations[:_MOST_LEAKS_SHOWN]]
    rest = len(violations) - len(shown)
    return [*shown, f"and {rest} more"] if rest else shown


def _lost_probes(scenario: Scenario, stream: Stream, times: Times) -> list[str]:
    lost = []
    for name, _ in WAYS:
        is_down = scenario.is_down and name in scenario.at
        for probe in stream.probes(name, times.began):
            excused = is_down and probe.sent < times.ended + _PROBE_GRACE_SECONDS
            if probe.received is None and probe.sent < times.measured - _PROBE_GRACE_SECONDS and not excused:
                lost.append(f"{name} {probe.sent - times.began:+.1f} s")
    return lost
