"""Computes outages from the packets that were sent and received. Pure.

An outage is a run of packets that never arrived. It lasts from the sending of its first packet to the sending of the
next packet that arrived, or to the end of the period.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LATE_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Crossing:
    """One packet of a flow."""

    number: int
    sent: float
    """Seconds since the epoch."""
    received: float | None
    """None if it never arrived."""


@dataclass(frozen=True)
class Outage:
    """Packets in a row that never arrived."""

    start: float
    """Seconds since the epoch."""
    seconds: float
    packets: int

    @property
    def end(self) -> float:
        """Its end, in seconds since the epoch."""
        return self.start + self.seconds


def join(
    sent: Iterable[tuple[int, float]], received: Mapping[int, float], *, late: float = LATE_SECONDS
) -> list[Crossing]:
    """Match the packets (number, time) that one end sent with the arrivals by number at the other, in order.

    A packet that took longer than `late` seconds counts as lost: a queue kept it until the outage was over.
    """
    joined = []
    for number, at in sent:
        arrived = received.get(number)
        joined.append(Crossing(number, at, arrived if arrived is not None and arrived - at <= late else None))
    return joined


def between(crossings: Iterable[Crossing], begin: float, end: float) -> list[Crossing]:
    """Return the packets sent from `begin` until before `end`."""
    return [crossing for crossing in crossings if begin <= crossing.sent < end]


def outages(crossings: Iterable[Crossing], begin: float, end: float) -> list[Outage]:
    """Return the outages of the packets sent from `begin` until before `end`, in order."""
    gaps: list[Outage] = []
    first: Crossing | None = None
    packets = 0
    for crossing in between(crossings, begin, end):
        if crossing.received is None:
            first, packets = first or crossing, packets + 1
        elif first is not None:
            gaps.append(Outage(first.sent, crossing.sent - first.sent, packets))
            first, packets = None, 0
    if first is not None:
        gaps.append(Outage(first.sent, end - first.sent, packets))
    return gaps


def lost_seconds(gaps: Iterable[Outage]) -> float:
    """Return the total seconds of lost traffic."""
    return sum(outage.seconds for outage in gaps)


def longest(gaps: Iterable[Outage]) -> Sequence[Outage]:
    """Return the longest outage, or none if there are no outages."""
    return sorted(gaps, key=lambda outage: outage.seconds)[-1:]


def healed_after(gaps: Sequence[Outage], fault_ended: float) -> float:
    """Return the seconds from the end of the fault to the end of the last outage; 0 if that was earlier.

    The last outage counts, not the first packet: traffic that comes back and stops again has not healed.
    """
    return max(0.0, gaps[-1].end - fault_ended) if gaps else 0.0


def first_arrival_after(crossings: Iterable[Crossing], moment: float) -> float | None:
    """Return the seconds from `moment` to the first arrival of a packet sent after it; None if none arrived."""
    arrivals = [crossing.received for crossing in crossings if crossing.sent >= moment and crossing.received]
    return min(arrivals) - moment if arrivals else None


def is_steady(crossings: Iterable[Crossing], begin: float, end: float, *, packets: int) -> bool:
    """Return whether at least `packets` were sent from `begin` until before `end`, and all of them arrived."""
    sent = between(crossings, begin, end)
    return len(sent) >= packets and all(crossing.received is not None for crossing in sent)
