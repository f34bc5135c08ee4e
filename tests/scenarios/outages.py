"""From packets that were sent and arrived to outages: pure.

An outage is a run of packets that never arrived; it lasts from when its first one was sent until the next packet that
did arrive was sent (or until the end of what is looked at), in seconds.
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
    """None: it never arrived."""


@dataclass(frozen=True)
class Outage:
    """Packets in a row that never arrived."""

    start: float
    """Seconds since the epoch."""
    seconds: float
    packets: int

    @property
    def end(self) -> float:
        """When it was over, seconds since the epoch."""
        return self.start + self.seconds


def join(
    sent: Iterable[tuple[int, float]], received: Mapping[int, float], *, late: float = LATE_SECONDS
) -> list[Crossing]:
    """Match (number, time) of what one end sent with the arrivals by number at the other, in the order of sending.

    What took longer than `late` seconds was lost for whoever waited: some queue kept it until the outage was over.
    """
    joined = []
    for number, at in sent:
        arrived = received.get(number)
        joined.append(Crossing(number, at, arrived if arrived is not None and arrived - at <= late else None))
    return joined


def between(crossings: Iterable[Crossing], begin: float, end: float) -> list[Crossing]:
    """Return what was sent from `begin` until before `end`."""
    return [crossing for crossing in crossings if begin <= crossing.sent < end]


def outages(crossings: Iterable[Crossing], begin: float, end: float) -> list[Outage]:
    """Return the outages among what was sent from `begin` until before `end`, in order."""
    found: list[Outage] = []
    first: Crossing | None = None
    packets = 0
    for crossing in between(crossings, begin, end):
        if crossing.received is None:
            first, packets = first or crossing, packets + 1
        elif first is not None:
            found.append(Outage(first.sent, crossing.sent - first.sent, packets))
            first, packets = None, 0
    if first is not None:
        found.append(Outage(first.sent, end - first.sent, packets))
    return found


def lost_seconds(found: Iterable[Outage]) -> float:
    """Return the seconds of lost traffic in all."""
    return sum(outage.seconds for outage in found)


def healed_after(found: Sequence[Outage], cause_ended: float) -> float:
    """Return the seconds from the cause's end to the end of the last outage: 0 when it was over before.

    The last one, not the first packet: traffic that comes back and goes again has not healed.
    """
    return max(0.0, found[-1].end - cause_ended) if found else 0.0


def first_arrival_after(crossings: Iterable[Crossing], moment: float) -> float | None:
    """Return the seconds from `moment` to the first arrival of a packet sent since; None when there was none."""
    arrivals = [crossing.received for crossing in crossings if crossing.sent >= moment and crossing.received]
    return min(arrivals) - moment if arrivals else None


def is_steady(crossings: Iterable[Crossing], begin: float, end: float, *, packets: int) -> bool:
    """Say whether at least `packets` were sent from `begin` until before `end`, and all of them arrived."""
    looked_at = between(crossings, begin, end)
    return len(looked_at) >= packets and all(crossing.received is not None for crossing in looked_at)
