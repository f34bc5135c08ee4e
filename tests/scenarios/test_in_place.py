"""Changes of the running pair by `pulumi up`: what each costs, with traffic between the private hosts.

Proves that a change replaces no instance, is proved by `up`, and loses no more than the documents say. Does not prove
what is refused or interrupted (tests/unit/test_vpn_configure*.py). The table is that of the faults.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lab import settings
from tests.scenarios import runner, sites
from tests.scenarios.conftest import record
from tests.scenarios.in_place import Program
from tests.scenarios.report import Result
from tests.scenarios.scenario import UNTIMED, Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

pytestmark = pytest.mark.timeout(1200)

REKEY_GAP = 0.25
"""Seconds that a rekey may cost on emulated processors."""
PROFILE_GAP = 5.0
ROTATIONS = 20


@dataclass(frozen=True, kw_only=True)
class Change:
    """One `pulumi up` on the running pair."""

    name: str
    title: str
    apply: Callable[[Program], object]
    gap_seconds: float = REKEY_GAP
    """A shorter outage is no failure."""

    def scenario(self, program: Program, *, judged: bool) -> Scenario:
        """Return the scenario in which the change is applied; unless it is `judged`, lost packets are only reported."""
        lossless = Expectation(limit_seconds=0, lossless=True, hiccup_seconds=self.gap_seconds)

        def steps(_pair: Pair, _variant: Variant) -> Steps:
            self.apply(program)
            yield

        return Scenario(
            name=self.name,
            title=self.title,
            seconds=40,
            description=f"{self.title.capitalize()} by `pulumi up`, on both running gateways.",
            expectation=lossless if judged else UNTIMED,
            steps=steps,
        )


def add_range(program: Program) -> None:
    """Add a range to the left side."""
    program.configure(leftAdditionalCidrBlocks=["10.77.0.0/16"])
    program.up()


def change_release(program: Program) -> None:
    """Change the tunnel's MTU and, with it, packet filter and routes; a daemon, a unit and vpn-verify."""
    program.edit("components/decisions/tunnel.py", "TUNNEL_MTU: Final = 1400", "TUNNEL_MTU: Final = 1380")
    program.edit("userdata/gateway/usr/local/lib/vpn-gateway/healing.py", "GRACE = 5.0", "GRACE = 6.0")
    unit = "userdata/gateway/etc/systemd/system/vpn-watch.service"
    program.edit(unit, "RestartSec=2", "RestartSec=3")
    program.edit("userdata/proof/usr/local/lib/vpn-verify/vpn_verify/people.py", "_COLUMNS = 160", "_COLUMNS = 150")
    program.up()


def take_back(program: Program) -> None:
    """Apply the checkout's own program and configuration."""
    program.reset()
    program.up()


def add_administrator(program: Program) -> None:
    """Let a private host of the left side log in."""
    program.configure(administratorCidrBlocks=["198.18.0.10/32", "10.1.10.41/32"])
    program.up()


def change_profile(program: Program) -> None:
    """Negotiate as in 2014."""
    program.configure(profile="article-2014")
    program.up()


ROTATE = Change(name="in-place-psk", title="the pre-shared key is rotated", apply=Program.rotate)

BRIEF = (
    ROTATE,
    Change(name="in-place-range", title="a range is added", apply=add_range),
    Change(name="in-place-release", title="another release's programs, filter and MTU", apply=change_release),
    Change(name="in-place-back", title="the range and the release are taken back", apply=take_back),
)
LONG = (
    Change(name="in-place-administrators", title="an administrator is added", apply=add_administrator),
    Change(name="in-place-administrators-back", title="the administrator is taken back", apply=take_back),
    Change(
        name="in-place-profile", title="another profile: article-2014", apply=change_profile, gap_seconds=PROFILE_GAP
    ),
    Change(name="in-place-profile-back", title="the profile modern again", apply=take_back, gap_seconds=PROFILE_GAP),
)


@pytest.fixture(scope="module")
def program(running_stack: None) -> Iterator[Program]:
    """Yield the program; in the end the pair is as it was."""
    made = Program(settings.STATE / "in-place")
    yield made
    take_back(made)


@pytest.mark.parametrize(
    "change",
    [
        *(pytest.param(one, id=one.name, marks=pytest.mark.brief) for one in BRIEF),
        *(pytest.param(one, id=one.name) for one in LONG),
    ],
)
def test_a_change_in_place_loses_no_more_than_it_must(
    change: Change, program: Program, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    before = sites.find().gateways
    keys = [gateway.read(gateway.secrets_file) for gateway in before]
    result = runner.run(change.scenario(program, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()
    assert sites.find().gateways == before, "the instances are the same"
    after = [gateway.read(gateway.secrets_file) for gateway in before]
    assert (keys == after) is (change is not ROTATE)


def test_twenty_rotations_in_a_row_lose_no_more_than_one(
    program: Program, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    many = Change(
        name=f"in-place-psk-{ROTATIONS}-times",
        title=f"the pre-shared key is rotated {ROTATIONS} times in a row",
        apply=lambda it: [it.rotate() for _ in range(ROTATIONS)],
    )
    result = runner.run(many.scenario(program, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()
