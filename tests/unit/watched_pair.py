"""A model of a watched pair over simulated time: two gateways, the SAs that each has, and a path that breaks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from healing import Tunnel

HANDSHAKE = 1
"""Seconds until what was initiated carries packets: two round trips to the other end of the world."""

RETRANSMISSIONS = (0, 1, 2, 4, 8, 16)
"""Seconds after a packet without an SA at which pluto sends its request: `auto=ondemand` begins by itself."""

DPD = 45
"""Seconds without the peer until Libreswan drops an SA: dpddelay and retransmit-timeout."""


@dataclass
class Sa:
    """One end of a Child SA; the other end has the same number."""

    ike: int
    inward: int = 0
    receives: bool = True
    sends: bool = True


@dataclass
class Gateway:
    """What one side's kernel, pluto and vpn-watch have."""

    tunnel: Tunnel
    sas: dict[int, Sa] = field(default_factory=dict)
    ikes: set[int] = field(default_factory=set)
    pluto: bool = True
    pings: bool = True
    watched: bool = True
    hears_echoes: list[float] = field(default_factory=list)
    steps: list[tuple[float, str]] = field(default_factory=list)
    quiet_since: float = 0.0
    trapped: float | None = None
    asked: int = 0

    def answers(self) -> bool:
        """Return whether its IKE daemon answers a probe, and count the probes."""
        self.asked += 1
        return self.pluto


class World:
    """Two gateways and the path between them; one second is one step."""

    def __init__(self, *, established: bool = True) -> None:
        self.now = 0.0
        self.path = True
        self.dpd = True
        self.last = 0
        self.pending: list[tuple[float, Callable[[], None]]] = []
        self.uk = Gateway(Tunnel("uk-to-au", True, 0.0))
        self.au = Gateway(Tunnel("au-to-uk", False, 0.0))
        if established:
            self.establish()

    def other(self, side: Gateway) -> Gateway:
        """Return the peer of a side."""
        return self.au if side is self.uk else self.uk

    def establish(self, ike: int = 0) -> None:
        """Give both sides a new Child SA, with its own IKE SA or under `ike`."""
        self.last += 1
        for side in (self.uk, self.au):
            side.ikes.add(ike or self.last)
            side.sas[self.last] = Sa(ike or self.last)

    def drop(self, side: Gateway) -> None:
        """Let a side forget its SAs, without a word to the other."""
        side.sas, side.ikes = {}, set()

    def deliver(self, sender: Gateway) -> bool:
        """Send one packet by the newest SA; return whether it comes out at the other end."""
        ready = [number for number, sa in sender.sas.items() if sa.sends]
        there = self.other(sender).sas.get(max(ready, default=0))
        if not self.path or there is None or not there.receives:
            return False
        there.inward += 84
        return True

    def reaches(self, other: Gateway) -> bool:
        """Return whether a probe of a gateway is answered."""
        return self.path and other.answers()

    def initiate(self, side: Gateway) -> None:
        """Do as `whack --initiate`: over the IKE SA there is, also when the peer has lost it."""
        other = self.other(side)
        if not (self.path and side.pluto and other.pluto):
            return
        if not side.ikes:
            self.pending.append((self.now + HANDSHAKE, self.establish))
        elif common := side.ikes & other.ikes:
            self.pending.append((self.now + HANDSHAKE, lambda: self.establish(min(common))))

    def trap(self, side: Gateway) -> None:
        """Negotiate because a packet, here an echo, has no SA."""
        if side.sas or not side.pluto:
            side.trapped = None
            return
        if side.trapped is None or self.now - side.trapped > max(RETRANSMISSIONS):
            side.trapped = self.now
        if self.now - side.trapped in RETRANSMISSIONS:
            self.initiate(side)

    def reset(self, side: Gateway) -> None:
        """Act like `whack --terminate` and `--initiate`, which notify the peer."""
        if self.path:
            other = self.other(side)
            other.ikes -= side.ikes
            other.sas = {number: sa for number, sa in other.sas.items() if sa.ike in other.ikes}
        self.drop(side)
        self.initiate(side)

    def second(self) -> None:
        """Let a second pass: negotiations end, echoes go, watches judge."""
        self.now += 1
        for due, happen in [entry for entry in self.pending if entry[0] <= self.now]:
            self.pending.remove((due, happen))
            if self.path and self.uk.pluto and self.au.pluto:
                happen()
        for side in (self.uk, self.au):
            other = self.other(side)
            if self.path:
                side.quiet_since = self.now
            if self.dpd and self.now - side.quiet_since > DPD:
                self.drop(side)
            if not side.watched:
                continue
            self.trap(side)
            if self.deliver(side) and other.pings and self.deliver(other):
                side.hears_echoes.append(self.now)
                side.tunnel.answer(self.now)
                continue
            seen = {f"#{number}": sa.inward for number, sa in side.sas.items()} if side.pluto else None
            step = side.tunnel.judge(self.now, seen, partial(self.reaches, other))
            if step:
                side.steps.append((self.now, step))
                {"initiate": self.initiate, "reset": self.reset}[step](side)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds)):
            self.second()

    def outage(self, since: float) -> float:
        """Return the seconds from `since` until every watched side is answered, from then on for good."""
        ends = []
        for side in filter(lambda side: side.watched, (self.uk, self.au)):
            heard = [moment for moment in side.hears_echoes if moment > since]
            assert heard, "never again"
            gaps = [late for early, late in pairwise(heard) if late - early > 1]
            ends.append(max([heard[0], *gaps]) - since)
            assert heard[-1] == self.now
        return max(ends)

    def steps(self) -> list[str]:
        """Return what both watches did, in order."""
        return [step for _, step in sorted(self.uk.steps + self.au.steps)]
