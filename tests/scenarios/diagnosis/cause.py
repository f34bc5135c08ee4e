"""What a cause is: the change that breaks the tunnel, the diagnosis expected on each side, and the alarms."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from tests.scenarios.sites import LEFT, RIGHT, Pair

Injection = Callable[[Pair], AbstractContextManager[None]]
"""Breaks something while its context is open, and restores it exactly."""


@dataclass(frozen=True)
class Symptom:
    """The first layer that fails in a side's vpn-verify."""

    layer: str
    """Its name, or a regular expression where either of two layers may fail (`policy|ike`)."""
    evidence: str
    """Regular expression that must match in the evidence; case does not matter."""


WELL = None
"""On this side every layer of vpn-verify holds."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One cause of the table; `uk` is the side that is broken."""

    name: str
    description: str
    """What is broken, in one line."""
    broken: Injection
    uk: Symptom | None
    au: Symptom | None
    pings: Mapping[str, str] = field(default_factory=dict)
    """Side -> regular expression for the message of its probe host's ping, where both gateways are well.

    It begins with `^`, because the text of the whole script is shown, too.
    """
    alarms: frozenset[str] = frozenset()
    """The alarms that begin in the promised time, with `monitoring`. Their names are those of `alarms.raised`.

    Empty where no gateway sees the cause, and where the only one that does is silent.
    """
    silent: frozenset[str] = frozenset()
    """Sides whose gateway publishes nothing meanwhile. The alarm of its tunnel then begins without data, some minutes
    later.
    """
    absent: frozenset[str] = frozenset()
    """Sides whose gateway does not run, so that vpn-verify cannot run there."""
    shown_by_up: bool = True
    """Whether `pulumi up` is run during the cause. Not where it cannot log in: it would wait for its timeout."""
    heals_within: float = 90.0
    """Seconds from the restoration until both sides must be well."""

    def symptom(self, side: str) -> Symptom | None:
        """Return the diagnosis expected on a side."""
        return {LEFT: self.uk, RIGHT: self.au}[side]

    def sides(self) -> tuple[str, ...]:
        """Return the sides on which vpn-verify can run."""
        return tuple(side for side in (LEFT, RIGHT) if side not in self.absent)
