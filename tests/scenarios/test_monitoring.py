"""Alarms of the running pair: what raises them, what ends them, and what EC2 does about a gateway that hangs.

Proves that a gateway's own metrics reach CloudWatch's API with the rights of its role, that alarms follow faults within
the promised time, and that the instance check restarts a gateway that hangs. Does not prove how soon AWS evaluates.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import pytest

from lab import network_faults
from lab.alarms import alarms
from lab.machines import channel, record
from tests.scenarios.alarms import DOWN, PROMISED, raised, raised_since, wait
from tests.scenarios.gateway import BOOT_SECONDS, Gateway
from tests.scenarios.in_place import Program
from tests.scenarios.sites import Pair

pytestmark = pytest.mark.timeout(1800)

STATUS_CHECK_SECONDS: Final = 330.0
"""The instance check of three minutes, and a minute for AWS to carry the restart out."""


def test_alarms_are_created_off_and_stay_off(monitored: Program) -> None:
    assert len(alarms()) == 12
    time.sleep(70)
    assert raised_since(datetime.min.replace(tzinfo=UTC)) == set()


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


def crash_kernel(gateway: Gateway) -> None:
    """Let the kernel crash, and not restart itself as with kernel.panic."""
    crash = "sysctl -q kernel.panic=0; sync; sleep 0.5; echo c >/proc/sysrq-trigger"
    gateway.run(f"setsid sh -c '{crash}' >/dev/null 2>&1 &")


def stop_processor(gateway: Gateway) -> None:
    """Stop the machine's processor in the emulator."""
    gateway.run("sync")
    emulator(gateway, "stop")


def reset(gateway: Gateway) -> None:
    """Restart a machine that hangs, for the tests that follow."""
    emulator(gateway, "system_reset", "cont")
    gateway.wait_until_booted()


def emulator(gateway: Gateway, *commands: str) -> None:
    """Give commands to the emulator of a machine (QEMU Machine Protocol)."""
    machine = record.load(gateway.id)
    assert machine is not None
    with channel.monitor(machine.qmp_socket, timeout=10) as monitor:
        for command in commands:
            monitor.command(command)


@pytest.mark.parametrize("hang", [crash_kernel, stop_processor])
def test_a_machine_that_hangs_is_restarted_by_its_alarm(
    hang: Callable[[Gateway], None], monitored: Program, pair: Pair
) -> None:
    gateway = pair.au.gateway
    hang(gateway)
    try:
        gateway.wait_until_down()
        wait("the check fails", lambda: "vpn-au-instance-check-failed" in raised(), STATUS_CHECK_SECONDS)
        wait("it boots again", gateway.greets, STATUS_CHECK_SECONDS + BOOT_SECONDS)
    finally:
        if not gateway.greets():
            reset(gateway)
    wait("all alarms end", lambda: raised() == set(), 2 * PROMISED)
