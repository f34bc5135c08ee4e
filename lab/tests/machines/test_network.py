"""Paths through the lab's network with real packets. Namespaces are the machines; no virtual machine is started.

Proves routes, translation, MTU and TTL on this kernel. Does not prove IPsec, nor anything about AWS itself. Run as
root: `pytest lab/tests/machines/test_network.py`. Clean-up by hand: `ip netns` names that start with `labtest-`, and
the interface `labtest-admin`.
"""

import socket
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from lab import settings
from lab.network import Network
from lab.network.sockets import call_in
from lab.tests.machines.network_tools import (
    answer,
    capture,
    drops,
    ping,
    udp_client,
    udp_echo,
)
from lab.tests.machines.own_network import AU, UK, host, joined, router
from lab.tests.network_world import with_interface
from lab.world import World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


def test_private_hosts_cannot_reach_each_other_without_a_tunnel_and_the_drop_is_counted(world: World) -> None:
    before = drops(router(UK), "no_elastic_ip")
    with capture(settings.INTERNET_NAMESPACE) as seen:
        assert ping(host(UK, "host"), AU.host).received == 0
    assert drops(router(UK), "no_elastic_ip") == before + 1
    assert seen == set()


def test_private_hosts_ping_each_other_through_both_gateways_with_ttl_62(world: World) -> None:
    with joined(), capture(settings.INTERNET_NAMESPACE) as seen:
        from_uk = ping(host(UK, "host"), AU.host, count=3)
        from_au = ping(host(AU, "host"), UK.host, count=3)
    assert (from_uk.received, from_uk.ttl) == (3, 62), from_uk.output
    assert (from_au.received, from_au.ttl) == (3, 62), from_au.output
    assert seen == {(UK.elastic_ip, AU.elastic_ip, 17, 4500), (AU.elastic_ip, UK.elastic_ip, 17, 4500)}


def test_the_vpc_router_does_not_change_the_ttl(world: World) -> None:
    for initial in ("1", "64", "128", "255"):
        assert ping(host(UK, "host"), UK.gateway, "-t", initial).received == 1
    receiver = call_in(host(UK, "gateway"), lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    with receiver:
        receiver.settimeout(2)
        ping(host(UK, "host"), UK.gateway, "-t", "255")
        assert receiver.recv(2000)[8] == 255


def test_the_administrator_reaches_an_elastic_ip_from_its_own_address(world: World) -> None:
    with capture(host(UK, "gateway")) as seen:
        assert ping(None, UK.elastic_ip).received == 1
    assert (str(settings.ADMINISTRATOR), UK.gateway, 1, 0) in seen


def test_an_elastic_ip_without_an_association_does_not_answer(world: World) -> None:
    assert ping(None, "198.19.113.99").received == 0


def test_jumbo_frames_pass_inside_a_vpc_and_the_router_announces_mtu_1500_to_the_internet(world: World) -> None:
    assert ping(host(UK, "host"), UK.gateway, "-M", "do", "-s", "8973").received == 1
    too_long = ping(host(UK, "gateway"), AU.elastic_ip, "-M", "do", "-s", "1473")
    assert too_long.received == 0
    assert "mtu = 1500" in too_long.output
    assert ping(host(UK, "gateway"), AU.elastic_ip, "-M", "do", "-s", "1472").received == 1


def test_a_running_flow_follows_a_moved_elastic_ip(network: Network, world: World) -> None:
    # Both servers answer with their own address. The client keeps one socket and so one flow.
    with udp_echo(host(UK, "gateway"), UK.gateway, 4500), udp_echo(host(UK, "host"), UK.host, 4500):
        public = with_route_to_internet(world)
        network.apply(public)
        with udp_client(None, UK.elastic_ip, 4500) as client:
            assert answer(client) == UK.gateway
            moved = with_interface(public, UK.eni_id("gateway"), public_ip=None)
            network.apply(with_interface(moved, UK.eni_id("host"), public_ip=IPv4Address(UK.elastic_ip)))
            assert answer(client) == UK.host
            network.apply(with_interface(moved, UK.eni_id("host"), public_ip=None))
            assert answer(client) is None


def with_route_to_internet(world: World) -> World:
    """Return the world with the private subnet on the public route table, so that its hosts can have an Elastic IP."""
    uk_vpc = world.vpcs[0]
    subnets = tuple(replace(subnet, route_table_id="rtb-public-uk") for subnet in uk_vpc.subnets)
    return replace(world, vpcs=(replace(uk_vpc, subnets=subnets), *world.vpcs[1:]))
