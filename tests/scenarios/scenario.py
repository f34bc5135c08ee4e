"""What a scenario is. Each file of tests/scenarios/faults/ describes one fault.

A file has a DESCRIPTION, an EXPECTATION, the VARIANTS of the fault and its `steps`. `python -m tests.scenarios` prints
them, except for the steps, and runs nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import inf
from pathlib import Path
from typing import Final

from tests.scenarios import endpoint
from tests.scenarios.sites import Pair

FOLDER: Final = Path(__file__).parent / "faults"

Senders = Mapping[str, Sequence[str]]
"""Site -> the kinds of packets that its private host sends. A site that is missing sends nothing."""

BOTH_SEND: Final[Senders] = {"uk": endpoint.KINDS, "au": endpoint.KINDS}
ONLY_UK_SENDS: Final[Senders] = {"uk": ["udp"]}
ONLY_AU_SENDS: Final[Senders] = {"au": ["udp"]}

Steps = Iterator[None]
"""The steps before the `yield` are the fault, from its beginning to its end.

At the `yield` the pair has to heal by itself and is observed. Steps after the `yield` restore what the fault changed
for good.
"""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a scenario must keep; all times in seconds."""

    limit_seconds: float
    """Traffic must flow again within this time after the end of the fault."""
    lossless: bool = False
    """No packet may be lost, except in a hiccup."""
    hiccup_seconds: float = 0.0
    """A shorter outage is reported but is no failure: some protocols have such gaps."""
    before_end: bool = False
    """The longest outage must end before the fault does. This needs no limit in seconds."""
    goal: str = ""
    """Where the limit comes from, for people."""
    healed_by: str = ""
    """Who has to bring the traffic back, for people."""

    def untimed(self) -> "Expectation":
        """Return what of it can be kept on a busy machine, where no limit in seconds can.

        Traffic must flow again, nothing may leak, and what is promised without seconds still counts.
        """
        return replace(self, limit_seconds=inf, lossless=False, hiccup_seconds=0.0)

    def __str__(self) -> str:
        """Return it for the table."""
        if self.limit_seconds == inf:
            return self.goal if self.before_end else "reported, not judged"
        if self.lossless:
            return f"no loss > {self.hiccup_seconds:g} s" if self.hiccup_seconds else "no loss"
        return f"<= {self.limit_seconds:g} s{f' ({self.goal})' if self.goal else ''}"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way in which a fault comes."""

    name: str
    title: str
    """What breaks, in one line."""
    seconds: float
    """About how long the fault lasts. Short ones run first."""
    at: tuple[str, ...] = ()
    """Sites whose gateway the steps act on, where variants differ in that, or where `is_down`."""
    is_down: bool = False
    """Whether these gateways are down during the fault, so that their private hosts cannot reach the Internet."""
    senders: Senders = field(default_factory=lambda: BOTH_SEND)
    brief: bool = False
    """Whether `make test` runs it, too."""


@dataclass(frozen=True, kw_only=True)
class Scenario(Variant):
    """One fault, its steps, and what is expected of the pair. In every scenario nothing may leak."""

    description: str
    """What breaks, and what then has to happen, in two sentences."""
    expectation: Expectation
    steps: Callable[[Pair, Variant], Steps]


def load() -> list[Scenario]:
    """Return the scenarios of all files, the short ones first."""
    scenarios = []
    for path in sorted(FOLDER.glob("*.py")):
        module = import_module(f"tests.scenarios.faults.{path.stem}")
        parts = {"description": module.DESCRIPTION, "expectation": module.EXPECTATION, "steps": module.steps}
        scenarios += [Scenario(**vars(variant), **parts) for variant in module.VARIANTS]
    return sorted(scenarios, key=lambda scenario: scenario.seconds)
