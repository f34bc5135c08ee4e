"""Plain text that claims to come from the other side is dropped, counted, and never reaches a private host.

AWS's own fences (security groups, source/destination check) are opened first: it is the gateway that must hold.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from lab import settings
from lab.api.client import client
from lab.network.names import HOST_INTERFACE
from tests.scenarios import operations, report, runner, spoofing
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
    """Give the side under attack, with AWS's fences around its gateway and its private host open."""
    site = pair.site(side)
    ec2 = client("ec2", site.region)
    with ExitStack() as stack:
        for interface in (site.gateway_eni, site.private_host_eni):
            (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
            group = found["Groups"][0]["GroupId"]
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_EVERYTHING])
            stack.callback(ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[_EVERYTHING])
        operations.set_check(site, interface=site.private_host_eni, enabled=False)
        stack.callback(operations.set_check, site, interface=site.private_host_eni, enabled=True)
        yield site


def attack(site: Site, count: Callable[[], int], put: Callable[[bytes], None], marker: bytes) -> tuple[int, Captures]:
    """Send forged packets until the gateway has counted some; return how many, and what the private host saw."""
    at_host = Place(site.private_host, site.private_host_namespace, HOST_INTERFACE, "ip", ())
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
    """Count by a chain's drop rules."""
    return lambda: spoofing.dropped(site, chain)


@pytest.fixture
def marker() -> bytes:
    return f"spoofed-{secrets.token_hex(8)}".encode()


@SIDES
def test_forged_packets_from_the_internet_are_dropped_and_counted(pair: Pair, attacked: Site, marker: bytes) -> None:
    claimed = pair.other(attacked).private_ip

    def put(payload: bytes) -> None:
        packet = spoofing.datagram(claimed, attacked.public_ip, payload)
        spoofing.send(settings.INTERNET_NAMESPACE, packet, attacked.public_ip)

    counted, captures = attack(attacked, by_rules(attacked, "VPN-INPUT"), put, marker)
    assert counted >= _PACKETS
    assert captures.violations == []


@SIDES
def test_forged_packets_from_inside_the_vpc_are_dropped_and_counted(pair: Pair, attacked: Site, marker: bytes) -> None:
    claimed = pair.other(attacked).private_ip
    for chain, to in (("VPN-INPUT", attacked.gateway_ip), ("VPN-FORWARD", str(settings.WEB_SERVER))):

        def put(payload: bytes, to: str = to) -> None:
            spoofing.send(attacked.private_host_namespace, spoofing.datagram(claimed, to, payload), to)

        counted, _ = attack(attacked, by_rules(attacked, chain), put, marker)
        assert counted >= _PACKETS, chain


def on_the_wire(pair: Pair, site: Site) -> Callable[[bytes], None]:
    """Return what puts a packet for the private host, forged, right onto the gateway's own interface."""
    ec2 = client("ec2", site.region)
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[site.gateway_eni])["NetworkInterfaces"]

    def put(payload: bytes) -> None:
        packet = spoofing.datagram(pair.other(site).private_ip, site.private_ip, payload)
        spoofing.send_on_wire(site.vpc_namespace, site.gateway_tap, eni["MacAddress"], packet)

    return put


@SIDES
def test_forged_packets_for_a_private_host_are_refused_by_the_tunnels_policies(
    pair: Pair, attacked: Site, marker: bytes
) -> None:
    def count() -> int:
        return operations.refused_by_policy(attacked)

    counted, captures = attack(attacked, count, on_the_wire(pair, attacked), marker)
    assert counted >= _PACKETS
    assert captures.violations == []


@SIDES
def test_forged_packets_for_a_private_host_are_dropped_by_the_filter_when_there_are_no_policies(
    pair: Pair, attacked: Site, marker: bytes
) -> None:
    with operations.without_tunnel(attacked):
        counted, captures = attack(attacked, by_rules(attacked, "VPN-FORWARD"), on_the_wire(pair, attacked), marker)
    assert counted >= _PACKETS
    assert captures.violations == []
    with Stream(pair) as stream:
        runner.settle(stream)


@SIDES
def test_the_same_packet_from_the_real_other_side_does_reach_the_private_host(
    pair: Pair, attacked: Site, marker: bytes
) -> None:
    """Or the captures above would prove nothing."""
    other = pair.other(attacked)

    def put(payload: bytes) -> None:
        packet = spoofing.datagram(other.private_ip, attacked.private_ip, payload)
        spoofing.send(other.private_host_namespace, packet, attacked.private_ip)

    at_host = Place(attacked.private_host, attacked.private_host_namespace, HOST_INTERFACE, "ip", ())
    with capturing([at_host], report.FOLDER / "captures" / "spoofed", marker) as captures:
        for _ in range(_PACKETS):
            put(marker)
            time.sleep(0.02)
        time.sleep(1)
    assert len(captures.violations) == _PACKETS
