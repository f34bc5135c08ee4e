"""Changes of the running pair by `pulumi up`: what each costs, with traffic between the private hosts.

Proves that a change replaces no instance, is proved by `up`, and loses no more than the documents say. Does not prove
every moment of an interruption (tests/unit/test_vpn_configure*.py). The table is that of the faults.
"""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from lab import settings
from tests.scenarios import runner, sites
from tests.scenarios.conftest import record
from tests.scenarios.diagnosis import answers
from tests.scenarios.gateway import StepError
from tests.scenarios.in_place import Program
from tests.scenarios.ipsec import pre_shared_keys
from tests.scenarios.report import Result
from tests.scenarios.scenario import Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

pytestmark = pytest.mark.timeout(1800)

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
    is_down: bool = False
    """Whether uk's gateway is down meanwhile, so that its private host cannot reach the Internet."""
    rotates: bool = False
    """Whether both gateways have other pre-shared keys afterwards."""

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
            expectation=lossless if judged else lossless.untimed(),
            steps=steps,
            at=("uk",),
            is_down=self.is_down,
        )


def exclude_range(program: Program) -> None:
    """Take a part out of the left side's range."""
    program.configure(leftExcludedCidrBlocks=["10.1.99.0/24"])
    program.up()


def add_range_and_change_release(program: Program) -> None:
    """Add a range to the left side. Change the tunnel's MTU and, with it, packet filter and routes, and the programs.

    Of the programs, a daemon, a unit and vpn-verify change.
    """
    program.configure(leftAdditionalCidrBlocks=["10.77.0.0/16"])
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


def stop_postquantum(program: Program) -> None:
    """Negotiate without the postquantum pre-shared key."""
    program.configure(postquantum=False)
    program.up()


def rotate(program: Program) -> None:
    """Change the pre-shared keys."""
    program.up(*program.rotation())


def take_back_and_rotate(program: Program) -> None:
    """Apply the checkout's own program and configuration, and change the pre-shared keys."""
    program.reset()
    rotate(program)


def rotate_often(program: Program) -> None:
    """Change the pre-shared keys many times in a row."""
    for _ in range(ROTATIONS):
        rotate(program)


BRIEF = (
    Change(
        name="in-place-range-and-release",
        title="a range is added, with another release's programs, filter and MTU",
        apply=add_range_and_change_release,
    ),
    Change(
        name="in-place-back",
        title="the range and the release are taken back, and the pre-shared keys are rotated",
        apply=take_back_and_rotate,
        rotates=True,
    ),
)
LONG = (
    Change(name="in-place-psk", title="the pre-shared keys are rotated", apply=rotate, rotates=True),
    # This range is in the connection that owns the IKE SA.
    Change(name="in-place-excluded", title="a range is excluded", apply=exclude_range, gap_seconds=PROFILE_GAP),
    Change(name="in-place-included", title="the range is no longer excluded", apply=take_back, gap_seconds=PROFILE_GAP),
    Change(name="in-place-administrators", title="an administrator is added", apply=add_administrator),
    Change(name="in-place-administrators-back", title="the administrator is taken back", apply=take_back),
    Change(
        name="in-place-profile", title="another profile: article-2014", apply=change_profile, gap_seconds=PROFILE_GAP
    ),
    Change(name="in-place-profile-back", title="the profile modern again", apply=take_back, gap_seconds=PROFILE_GAP),
    Change(
        name="in-place-postquantum",
        title="the tunnel no longer uses a postquantum key",
        apply=stop_postquantum,
        gap_seconds=PROFILE_GAP,
    ),
    Change(
        name="in-place-postquantum-back",
        title="the tunnel uses a postquantum key again",
        apply=take_back,
        gap_seconds=PROFILE_GAP,
    ),
)


@pytest.fixture(scope="module")
def program(running_stack: None) -> Iterator[Program]:
    """Yield the program; in the end the pair is as it was."""
    made = Program(settings.STATE / "in-place")
    yield made
    if made.leaves_changes:
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
    keys = [pre_shared_keys(gateway)["PSK"] for gateway in before]
    result = runner.run(change.scenario(program, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()
    assert sites.find().gateways == before, "the instances are the same"
    assert ([pre_shared_keys(gateway)["PSK"] for gateway in before] == keys) is not change.rotates


def test_twenty_rotations_in_a_row_lose_no_more_than_one(
    program: Program, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    many = Change(
        name=f"in-place-psk-{ROTATIONS}-times",
        title=f"the pre-shared keys are rotated {ROTATIONS} times in a row",
        apply=rotate_often,
    )
    result = runner.run(many.scenario(program, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()


def refuse(program: Program) -> None:
    """Give the connection a keyword that Libreswan does not know."""
    template = "userdata/gateway/etc/ipsec.d/vpn.conf.j2"
    program.edit(template, "\nconn {{ name }}\n", "\nconn {{ name }}\n  no-such-keyword=1\n")
    shown = program.red_up()
    if not re.search(r"/etc/ipsec\.d/vpn\.conf.*no-such-keyword", shown):
        raise StepError(f"pulumi up does not name the file and the line: {shown[-3000:]}")


REFUSED = Change(name="in-place-refused", title="both gateways refuse a file of a change", apply=refuse)


def test_a_file_that_a_gateway_refuses_changes_nothing_there(
    program: Program, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    before = [gateway.read("/etc/ipsec.d/vpn.conf") for gateway in sites.find().gateways]
    result = runner.run(REFUSED.scenario(program, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()
    assert [gateway.read("/etc/ipsec.d/vpn.conf") for gateway in sites.find().gateways] == before
    take_back(program)


CUTS = {
    "killed": ("vpn-configure is killed", "kill -9 $(pidof -x vpn-configure)"),
    "ssh-lost": ("the SSH session is lost", "pkill -KILL -u admin sshd"),
    "ipsec-killed": ("the IKE daemon is killed", "kill -9 $(pidof pluto)"),
    # The lab's file system has no journal, so a cut may damage it. vpn-configure writes through what it needs.
    "power": ("the power fails", "setsid sh -c 'sleep 0.2; sync; echo b >/proc/sysrq-trigger' >/dev/null 2>&1 &"),
}
"""What ends a change of uk's gateway in the middle: its title, and the command for it."""


MOMENTS = {
    "prepares": ("while it prepares", "pgrep -f -- '--[p]repare'"),
    "applies": ("while it applies", "test -e /var/lib/vpn-gateway/unfinished"),
}
"""When that happens: in the title, and a command that succeeds from then on."""


@pytest.mark.parametrize("what", CUTS)
@pytest.mark.parametrize("when", MOMENTS)
def test_a_rotation_that_is_cut_off_is_finished_by_the_next_up(
    what: str, when: str, program: Program, stream: Stream, results: list[Result]
) -> None:
    (title, command), (moment, is_there) = CUTS[what], MOMENTS[when]
    change = Change(
        name=f"in-place-{what}-{when}",
        title=f"{title} on uk, {moment} a change",
        apply=lambda it: cut_off(it, command, is_there),
        is_down=what == "power",
    )
    # What the cut itself costs is that of the same fault without a change.
    try:
        result = runner.run(change.scenario(program, judged=what in {"killed", "ssh-lost"}), stream)
    finally:
        program.up()
    record(result, results)
    assert result.failures == ()
    assert_both_have_one_key()


def cut_off(program: Program, command: str, is_there: str) -> None:
    """Rotate the keys, and run a command on uk's gateway at a moment of the change there."""
    uk = sites.find().uk.gateway
    with ThreadPoolExecutor(1) as thread:
        up = thread.submit(program.any_up, *program.rotation())
        # The gateway itself looks, because some moments are short.
        script = f"for _ in $(seq 2000); do\nif {is_there}; then\n{command}\nexit\nfi\nsleep 0.05\ndone\nexit 9"
        cut = uk.ask(script, timeout=240)
        up.result()
    if cut.returncode:
        raise StepError(f"the change was over before the cut: {command!r} exits with {cut.returncode}")


def assert_both_have_one_key() -> None:
    """Both sides have the same pre-shared key, and it is the one that they authenticate with."""
    keys = {pre_shared_keys(gateway)["PSK"] for gateway in sites.find().gateways}
    assert len(keys) == 1
    assert [look.diagnosis for look in answers.ask(sites.find().gateways).values()] == ["ok", "ok"]


def rotate_without_ssm(program: Program) -> None:
    """Rotate the keys, while au's gateway cannot fetch them."""
    au = sites.find().au.gateway
    endpoint = json.loads(au.read("/etc/vpn-gateway/secrets.json"))["ssm"]["endpoint"]
    au.run(f"cp -p /etc/hosts /run/hosts; echo 127.0.0.1 {endpoint} >>/etc/hosts")
    try:
        shown = program.red_up(*program.rotation())
    finally:
        au.run("cat /run/hosts >/etc/hosts")
    if not re.search(r"nothing has changed: vpn-secrets fails(.|\n)*cannot read", shown):
        raise StepError(f"pulumi up does not say that au cannot fetch its keys: {shown[-3000:]}")


def test_a_rotation_whose_keys_one_side_cannot_fetch_changes_neither(
    program: Program, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    before = [pre_shared_keys(gateway) for gateway in sites.find().gateways]
    change = Change(name="in-place-no-ssm", title="au cannot fetch the rotated keys", apply=rotate_without_ssm)
    result = runner.run(change.scenario(program, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()
    are_unchanged = [pre_shared_keys(gateway) for gateway in sites.find().gateways] == before
    assert are_unchanged
    program.up()
    assert_both_have_one_key()
    are_unchanged = [pre_shared_keys(gateway) for gateway in sites.find().gateways] == before
    assert not are_unchanged


def test_a_pair_of_release_0_1_0_moves_to_this_one_in_place(
    program: Program, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    if not program.take_release("v0.1.0"):
        # A clone may lack the tags, and without its program there is no pair of that release.
        pytest.skip("this checkout has no tag v0.1.0")
    program.up_with_other_instances()
    move = Change(
        name="in-place-from-0.1.0",
        title="a pair of release 0.1.0 moves to this release",
        apply=take_back,
        # Its connection gets another name, and a postquantum key.
        gap_seconds=PROFILE_GAP,
    )
    result = runner.run(move.scenario(program, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()
    assert [look.diagnosis for look in answers.ask(sites.find().gateways).values()] == ["ok", "ok"]
