"""Plain text that claims to come from the other side is dropped, counted, and never reaches a private host.

AWS's own checks (security groups, source/destination check) are switched off first, so that only the gateway is tested.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from lab import settings
from lab.network.names import HOST_INTERFACE
from tests.scenarios import ipsec, report, runner, spoofing
from tests.scenarios.captures import Captures, Place, capturing
from tests.scenarios.sites import Pair, Site
from tests.scenarios.stream import Stream

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import IpPermissionTypeDef

pytestmark = pytest.mark.timeout(300)

_EVERYTHING: "IpPermissionTypeDef" = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
_PACKETS = 20
_PATIENCE_SECONDS = 20.0

SIDES = pytest.mark.parametrize("side", ["uk", "au"])


@pytest.fixture
def attacked(pair: Pair, side: str) -> Iterator[Site]:
    """Yield the side under attack. AWS's checks on its gateway and its private host are off."""
    site = pair.site(side)
    ec2 = site.gateway.ec2
    with ExitStack() as stack:
        for interface in (site.gateway.eni, site.private_host.eni):
            (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
            group = found["Groups"][0]["GroupId"]
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_EVERYTHING])
            stack.callback(ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[_EVERYTHING])
        site.private_host.set_source_dest_check(False)
        stack.callback(site.private_host.set_source_dest_check, True)
        yield site


def attack(site: Site, count: Callable[[], int], put: Callable[[bytes], None], marker: bytes) -> tuple[int, Captures]:
    """Send forged packets until the gateway has counted some; return how many, and what the private host saw."""
    at_host = Place(site.private_host.name, site.private_host.namespace, HOST_INTERFACE, "ip", ())
    before = count()
    folder = report.FOLDER / "captures" / "spoofed"
    with capturing([at_host], folder, marker) as captures:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (counted := count() - before) < _PACKETS and time.monotonic() < deadline:
            for _ in range(_PACKETS):
                put(marker)
                time.sleep(0.02)
    return counted, captures


def by_rules(site: Site, chain: str) -> Callable[[], int]:
    """Return a function that reads the counters of a chain's drop rules."""
    return lambda: spoofing.dropped(site.gateway, chain)


@pytest.fixture
def marker() -> bytes:
    return f"spoofed-{secrets.token_hex(8)}".encode()


@SIDES
def test_forged_packets_from_the_internet_are_dropped_and_counted(pair: Pair, attacked: Site, marker: bytes) -> None:
    claimed = pair.other(attacked).private_host.private_ip

    def put(payload: bytes) -> None:
        packet = spoofing.datagram(claimed, attacked.gateway.public_ip, payload)
        spoofing.send(settings.INTERNET_NAMESPACE, packet, attacked.gateway.public_ip)

    counted, captures = attack(attacked, by_rules(attacked, "VPN-INPUT"), put, marker)
    assert counted >= _PACKETS
    assert captures.violations == []


@SIDES
def test_forged_packets_from_inside_the_vpc_are_dropped_and_counted(pair: Pair, attacked: Site, marker: bytes) -> None:
    claimed = pair.other(attacked).private_host.private_ip
    for chain, to in (("VPN-INPUT", attacked.gateway.private_ip), ("VPN-FORWARD", str(settings.WEB_SERVER))):

        def put(payload: bytes, to: str = to) -> None:
            spoofing.send(attacked.private_host.namespace, spoofing.datagram(claimed, to, payload), to)

        counted, _ = attack(attacked, by_rules(attacked, chain), put, marker)
        assert counted >= _PACKETS, chain


def on_the_wire(pair: Pair, site: Site) -> Callable[[bytes], None]:
    """Return a function that puts a forged packet for the private host onto the gateway's own interface."""
    (eni,) = site.gateway.ec2.describe_network_interfaces(NetworkInterfaceIds=[site.gateway.eni])["NetworkInterfaces"]

    def put(payload: bytes) -> None:
        packet = spoofing.datagram(pair.other(site).private_host.private_ip, site.private_host.private_ip, payload)
        spoofing.send_on_wire(site.gateway.vpc_namespace, site.gateway.tap, eni["MacAddress"], packet)

    return put


@SIDES
def test_forged_packets_for_a_private_host_are_refused_by_the_tunnels_policies(
    pair: Pair, attacked: Site, marker: bytes
) -> None:
    def count() -> int:
        return ipsec.dropped_by_policy(attacked.gateway)

    counted, captures = attack(attacked, count, on_the_wire(pair, attacked), marker)
    assert counted >= _PACKETS
    assert captures.violations == []


@SIDES
def test_forged_packets_for_a_private_host_are_dropped_by_the_filter_when_there_are_no_policies(
    pair: Pair, attacked: Site, marker: bytes
) -> None:
    with ipsec.without_tunnel(attacked.gateway):
        counted, captures = attack(attacked, by_rules(attacked, "VPN-FORWARD"), on_the_wire(pair, attacked), marker)
    assert counted >= _PACKETS
    assert captures.violations == []
    with Stream(pair) as stream:
        runner.settle(stream)


@SIDES
def test_the_same_packet_from_the_real_other_side_does_reach_the_private_host(
    pair: Pair, attacked: Site, marker: bytes
) -> None:
    """Otherwise the captures above would prove nothing."""
    other = pair.other(attacked)

    def put(payload: bytes) -> None:
        packet = spoofing.datagram(other.private_host.private_ip, attacked.private_host.private_ip, payload)
        spoofing.send(other.private_host.namespace, packet, attacked.private_host.private_ip)

    at_host = Place(attacked.private_host.name, attacked.private_host.namespace, HOST_INTERFACE, "ip", ())
    with capturing([at_host], report.FOLDER / "captures" / "spoofed", marker) as captures:
        for _ in range(_PACKETS):
            put(marker)
            time.sleep(0.02)
        time.sleep(1)
    assert len(captures.violations) == _PACKETS
