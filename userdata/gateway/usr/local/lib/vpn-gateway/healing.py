"""Decides what to do about a tunnel, from what the watch sees of it. Sends nothing and asks nothing."""

import random
from collections.abc import Callable, Collection, Mapping

PATIENCE = 3.0
"""Seconds without an answer and without a byte from the peer, after which a tunnel with SAs counts as dead."""

GRACE = 5.0
"""Seconds for a step to show its effect: a negotiation takes two round trips and its arithmetic."""

STRAYS = 3
"""Looks that must see strays before a step: a rekey causes some for a moment."""

CALM = 10.0
"""Seconds without strays after which earlier looks no longer count."""


class Tunnel:
    """The state of one tunnel and the next step; times are seconds of one monotonic clock.

    There are two steps. `initiate` asks for another Child SA, over the IKE SA if one stands. It breaks nothing: the
    kernel sends by the newest SA. `reset` first drops all SAs of the connection. Two resets at once may undo each
    other, so the side that is not `first` waits longer, except when it has nothing to drop.
    """

    def __init__(self, name: str, first: bool, now: float) -> None:
        self.name = name
        # Seconds that the other side may act first.
        self.turn = 0 if first else GRACE
        self.heard = self.moved = now
        self.busy = -PATIENCE
        self.proven = self.received = False
        self.written = ""
        self.calm()

    def calm(self) -> None:
        """Forget the trouble."""
        self.inward: Mapping[str, int | None] | None = None
        self.since: float | None = None
        self.lost = self.asked = False
        self.tries = 0
        self.due = 0.0

    def say(self, text: str) -> None:
        """Write to the journal, unless it is what was written last."""
        if text != self.written:
            self.written = text
            print(f"tunnel {self.name}: {text}", flush=True)

    def answer(self, now: float) -> None:
        """Note that the tunnel is up."""
        if self.written:
            self.say(f"is up again after {now - self.heard:.0f} s")
            self.written = ""
        self.heard, self.proven = now, True
        self.calm()

    def judge(self, now: float, inward: Mapping[str, int | None] | None, reachable: Callable[[], bool]) -> str:
        """Return the step to take after an echo without an answer: `initiate`, `reset` or none (empty).

        `inward` is SA -> bytes in (None: the kernel has lost the SA); it is None when pluto does not answer.
        `reachable` asks whether the peer's IKE daemon answers. It is called only when the answer matters: each call
        writes lines to the peer's log.
        """
        if inward is None:
            self.say("pluto does not answer")
            self.since = None
            return ""
        # Any change counts, because the counter of 4.10 has 32 bits. A new SA counts as a change, to give it time.
        before, self.inward = self.inward, inward
        grown = [] if before is None else [sa for sa in inward if inward[sa] != before.get(sa)]
        self.busy = now if grown else self.busy
        self.moved = now if self.own(grown) else self.moved
        stands = self.own(inward)
        self.received = self.received or any(inward[sa] and self.own([sa]) for sa in inward)
        if stands and now - max(self.heard, self.moved) < PATIENCE:
            return ""
        if self.since is not None and now < self.due:
            return ""
        if not reachable():
            self.say("silent, and so is the peer's IKE daemon")
            self.since, self.lost = None, True
            return ""
        if self.since is None:
            self.since, self.tries, self.due = now, 0, now
            # Perhaps only the path was missing. And a peer that was away begins by itself: two negotiations at once
            # may leave an IKE SA that the other side lacks (libreswan #2184).
            if self.lost:
                self.due += PATIENCE + self.turn
        return self.step(now, stands) if now >= self.due else ""

    def step(self, now: float, stands: bool) -> str:
        """Return the next step while the peer's IKE daemon answers and the tunnel is dead."""
        self.tries += 1
        if self.tries == 1 and not self.lost:
            self.say("silent, the peer's IKE daemon answers: asking for other SAs")
            return self.ask(now, stands)
        pause = min(2.0 ** min(self.tries + 2, 12), 3600 if stands else 30)
        self.due = now + pause * random.uniform(1, 1.5) + self.turn  # noqa: S311 - no secret
        # Perhaps the tunnel carries everything but echoes. And traffic between other ranges must not be cut off.
        # Two resets at most, for a peer that never sends.
        crossed = self.asked and not self.received and self.tries < 4
        if (stands and not self.proven and not crossed) or now - self.busy < PATIENCE:
            self.say("silent, perhaps to echoes alone: asking for other SAs")
            return "initiate" if self.asked else self.ask(now, stands)
        self.say("silent, the peer's IKE daemon answers: negotiating from the start")
        return "reset"

    def ask(self, now: float, stands: bool) -> str:
        """Return the step that breaks nothing."""
        self.asked, self.due = stands, now + GRACE + self.turn
        return "initiate"

    def own(self, sas: Collection[str]) -> bool:
        """Return whether an SA belongs to the pair of the echoes, which has no name of its own."""
        return any(sa.startswith("#") for sa in sas)

    def undo(self) -> None:
        """Note that pluto has not read its connections yet."""
        self.tries -= 1
        self.due = 0.0


class Strays:
    """Decides when to ask for other SAs, by the kernel's count of strays: packets for SAs that this gateway lacks.

    Times are those of `Tunnel`.
    """

    def __init__(self) -> None:
        self.count = self.looks = 0
        self.pause = GRACE
        self.last = self.due = -3600.0

    def judge(self, now: float, count: int) -> bool:
        """Return whether to ask now, at so many strays since the machine booted."""
        if count <= self.count:
            return False
        self.count = count
        self.looks = 1 if now - self.last > CALM else self.looks + 1
        self.last = now
        if self.looks < STRAYS or now < self.due:
            return False
        # The pauses double where asking does not help, and start again after an hour without need.
        self.pause = GRACE if now - self.due > 3600 else min(2 * self.pause, 3600)
        self.looks, self.due = 0, now + self.pause
        return True
