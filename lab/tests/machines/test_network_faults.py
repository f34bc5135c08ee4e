"""Faults of the lab's Internet, in a namespace in its place. tests/scenarios tests their effect on a tunnel."""

import errno
import subprocess
from collections.abc import Iterator

import pytest

from lab import network_faults, settings

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def internet(machine: None) -> Iterator[None]:
    subprocess.run(["ip", "netns", "add", settings.INTERNET_NAMESPACE], check=True)
    yield
    subprocess.run(["ip", "netns", "delete", settings.INTERNET_NAMESPACE], check=True)


@pytest.mark.parametrize("fault", network_faults.FAULTS)
def test_a_repeated_fault_is_active_once_until_it_is_healed(fault: str) -> None:
    assert network_faults.active() == []
    network_faults.inject(fault)
    network_faults.inject(fault)
    assert network_faults.active() == [fault]
    network_faults.heal()
    assert network_faults.active() == []


def test_several_faults_can_be_active_and_are_healed_together() -> None:
    network_faults.inject("no-udp-500")
    network_faults.inject("no-udp-4500")
    assert network_faults.active() == ["no-udp-500", "no-udp-4500"]
    network_faults.heal()
    network_faults.heal()
    assert network_faults.active() == []


CONNECT = f"import socket; print(socket.socket().connect_ex(('{settings.WEB_SERVER}', 80)))"


def connect_to_the_mirror() -> int:
    """Return the errno of a connection to the package mirror, where no server listens."""
    prefix = ["ip", "netns", "exec", settings.INTERNET_NAMESPACE]
    return int(subprocess.run([*prefix, "python3", "-c", CONNECT], capture_output=True, check=True, timeout=10).stdout)


def test_the_mirror_fault_rejects_connections_at_once() -> None:
    prefix = ["ip", "-n", settings.INTERNET_NAMESPACE]
    subprocess.run([*prefix, "link", "set", "lo", "up"], check=True)
    subprocess.run([*prefix, "addr", "add", f"{settings.WEB_SERVER}/32", "dev", "lo"], check=True)
    network_faults.inject("partition")
    assert connect_to_the_mirror() == errno.ECONNREFUSED
    network_faults.inject("mirror")
    assert connect_to_the_mirror() == errno.EHOSTUNREACH
    network_faults.heal()
    assert connect_to_the_mirror() == errno.ECONNREFUSED
