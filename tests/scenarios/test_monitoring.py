"""Alarms of the running pair: what raises them, what ends them, and what EC2 does about a gateway that hangs.

Proves that a gateway's own metrics reach CloudWatch's API with the rights of its role, that alarms follow faults within
the promised time, and that the instance check restarts a gateway that hangs. Does not prove how soon AWS evaluates.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from lab import network_faults
from lab.alarms import alarms
from tests.scenarios.gateway import BOOT_SECONDS, wait_until
from tests.scenarios.in_place import Program
from tests.scenarios.sites import Pair

pytestmark = pytest.mark.timeout(1800)

PROMISED: Final = 180.0
"""Seconds in which an alarm begins and ends."""

STATUS_CHECK_SECONDS: Final = 330.0
"""The instance check of three minutes, and a minute for AWS to carry the restart out."""

DOWN: Final = {"vpn-uk-tunnel-au-down", "vpn-au-tunnel-uk-down"}


def raised() -> set[str]:
    """Return the names of the alarms that are on, without the characters that Pulumi adds."""
    return {re.sub("-[0-9a-f]{7}$", "", each.name) for each in alarms() if each.state == "ALARM"}


def wait(what: str, condition: Callable[[], bool], seconds: float = PROMISED) -> float:
    """Wait for a condition, and print how long that took."""
    began = time.monotonic()
    wait_until(what, condition, seconds)
    took = time.monotonic() - began
    print(f"{what}: {took:.0f} s", flush=True)
    return took


@pytest.fixture(scope="module")
def monitored(running_stack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Switch monitoring on at the running pair, in place, and off again."""
    program = Program(tmp_path_factory.mktemp("monitored") / "program")
    program.configure(monitoring={"metrics": "detailed"})
    program.up()
    yield program
    program.reset()
    program.up()


def test_alarms_are_created_off_and_stay_off(monitored: Program) -> None:
    assert len(alarms()) == 10
    assert raised() == set()
    time.sleep(70)
    assert raised() == set()


def test_an_internet_that_carries_nothing_raises_the_alarms_of_both_tunnels(monitored: Program) -> None:
    network_faults.inject("partition")
    try:
        wait("both alarms begin", lambda: raised() >= DOWN)
    finally:
        network_faults.heal()
    wait("both alarms end", lambda: not DOWN & raised())


def test_a_daemon_that_is_stopped_raises_them_too(monitored: Program, pair: Pair) -> None:
    pair.uk.gateway.run("systemctl stop ipsec")
    try:
        wait("both alarms begin", lambda: raised() >= DOWN)
    finally:
        pair.uk.gateway.run("systemctl start ipsec")
    wait("both alarms end", lambda: not DOWN & raised())


def test_a_packet_without_ipsec_raises_the_alarm_of_dropped_plaintext(monitored: Program, pair: Pair) -> None:
    alarm = {"vpn-uk-plaintext-dropped"}
    gateway = pair.uk.gateway
    # Without its connections, the kernel would send what is for au in the clear.
    gateway.run("systemctl stop vpn-watch; ipsec whack --delete --name uk-to-au")
    try:
        pair.uk.private_host.ask(f"ping -c 3 -W 1 {pair.au.private_host.private_ip}")
        wait("the alarm begins", lambda: alarm <= raised())
    finally:
        gateway.run("vpn-configure; systemctl start vpn-watch", timeout=120)
    wait("all alarms end", lambda: raised() == set(), 2 * PROMISED)


def test_a_kernel_that_hangs_is_restarted_by_its_alarm(monitored: Program, pair: Pair) -> None:
    gateway = pair.au.gateway
    # With kernel.panic it would restart itself.
    crash = "sysctl -q kernel.panic=0; sync; sleep 0.5; echo c >/proc/sysrq-trigger"
    gateway.run(f"setsid sh -c '{crash}' >/dev/null 2>&1 &")
    gateway.wait_until_down()
    wait("the check fails", lambda: "vpn-au-instance-check-failed" in raised(), STATUS_CHECK_SECONDS)
    wait("it boots again", gateway.greets, STATUS_CHECK_SECONDS + BOOT_SECONDS)
    gateway.wait_until_booted()
    wait("all alarms end", lambda: raised() == set(), 2 * PROMISED)
