"""What a cause is: how it is injected, and the one diagnosis expected of it on each side."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.scenarios.sites import LEFT, RIGHT, Pair

Injection = Callable[[Pair], AbstractContextManager[None]]
"""Breaks something while its context is open, and puts back exactly what was."""


@dataclass(frozen=True)
class Symptom:
    """The first layer that fails in a side's vpn-verify."""

    layer: str
    """Its name; several names, as a regular expression, where the layers say so themselves (`policy|ike`)."""
    evidence: str
    """Regular expression, searched in the evidence without regard to case."""


WELL = None
"""The side's vpn-verify says that every layer holds."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One cause of the table; `uk` is the side that is broken."""

    name: str
    broken: Injection
    uk: Symptom | None
    au: Symptom | None
    pings: Mapping[str, str] = field(default_factory=dict)
    """Side -> regular expression for what its probe host's ping says, where both gateways are well.

    From the start of a line: the text of the whole script is shown, too.
    """
    absent: frozenset[str] = frozenset()
    """Sides whose gateway cannot be asked, because it does not run."""
    shown_by_up: bool = True
    """Whether `pulumi up` is run while it is broken. Not where it cannot log in: it would wait until its time is up."""
    heals_within: float = 90.0
    """Seconds until both sides must be well after what was broken is put back."""

    def symptom(self, side: str) -> Symptom | None:
        """Return what is expected of a side."""
        return {LEFT: self.uk, RIGHT: self.au}[side]

    def sides(self) -> tuple[str, ...]:
        """Return the sides that can be asked."""
        return tuple(side for side in (LEFT, RIGHT) if side not in self.absent)
