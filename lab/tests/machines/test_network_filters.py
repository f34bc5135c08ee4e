"""Packets that the lab's network drops and counts: security groups, source/destination check, forged requests.

Does not prove anything about AWS itself. Run as root: `pytest lab/tests/machines/test_network_filters.py`. Clean-up by
hand: `ip netns` names that start with `labtest-`, and the interface `labtest-admin`.
"""

import subprocess
from ipaddress import IPv4Address

import pytest

from lab.network import Network
from lab.tests.machines.network_tools import (
    answers,
    drops,
    ping,
    udp_client,
    udp_echo,
)
from lab.tests.machines.own_network import AU, UK, host, joined, router
from lab.tests.network_world import rule, with_interface, with_rules
from lab.world import World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


def test_a_removed_ingress_rule_stops_new_flows_but_not_an_established_one(network: Network, world: World) -> None:
    with udp_echo(host(UK, "host"), UK.host) as port:
        established, new = (udp_client(host(UK, "gateway"), UK.host, port) for _ in range(2))
        with established, new:
            assert answers(established)
            assert answers(established)
            network.apply(with_rules(world, "sg-host-uk", [rule(egress=True)]))
            before = drops(router(UK), "security_group_ingress")
            assert answers(established)
            assert not answers(new)
            assert drops(router(UK), "security_group_ingress") == before + 1


def test_without_an_egress_rule_an_instance_can_only_answer(network: Network, world: World) -> None:
    network.apply(with_rules(world, "sg-host-uk", [rule()]))
    before = drops(router(UK), "security_group_egress")
    assert ping(host(UK, "host"), UK.gateway).received == 0
    assert ping(host(UK, "gateway"), UK.host).received == 1
    assert drops(router(UK), "security_group_egress") == before + 1


def test_a_group_reference_admits_only_the_members_of_the_group(network: Network, world: World) -> None:
    allowed = with_rules(world, "sg-host-uk", [rule(peer="sg-gateway-uk"), rule(egress=True)])
    network.apply(allowed)
    assert ping(host(UK, "gateway"), UK.host).received == 1
    network.apply(with_interface(allowed, UK.eni_id("gateway"), security_group_ids=("sg-host-uk",)))
    assert ping(host(UK, "gateway"), UK.host, "-s", "57").received == 0


def test_the_destination_check_drops_packets_to_other_destinations(network: Network, world: World) -> None:
    network.apply(with_interface(world, UK.eni_id("gateway"), source_dest_check=True))
    before = drops(router(UK), "destination_check")
    with joined():
        assert ping(host(UK, "host"), AU.host).received == 0
    assert drops(router(UK), "destination_check") == before + 1


def test_the_source_check_drops_packets_from_other_sources(network: Network, world: World) -> None:
    network.apply(with_interface(world, UK.eni_id("gateway"), source_dest_check=True))
    before = drops(router(UK), "source_check")
    with joined():
        assert ping(host(AU, "host"), UK.host).received == 0
    assert drops(router(UK), "source_check") == before + 1


def test_a_request_for_metadata_with_anothers_address_is_dropped(world: World) -> None:
    before = drops(router(UK), "metadata_spoofed")
    gateway = host(UK, "gateway")
    subprocess.run(["ip", "-n", gateway, "address", "add", f"{UK.host}/32", "dev", "lo"], check=True)
    try:
        assert ping(gateway, "169.254.169.254", "-I", UK.host).received == 0
    finally:
        subprocess.run(["ip", "-n", gateway, "address", "del", f"{UK.host}/32", "dev", "lo"], check=True)
    assert drops(router(UK), "metadata_spoofed") == before + 1


def test_security_groups_also_filter_between_two_machines_in_one_subnet(network: Network, world: World) -> None:
    # The host moves to the gateway's subnet, so that two links have the same router address.
    subnet_id = world.vpcs[0].subnets[0].id
    moved = with_interface(world, UK.eni_id("host"), subnet_id=subnet_id, private_ip=IPv4Address("10.1.1.41"))
    network.apply(moved)
    assert ping(host(UK, "host"), UK.gateway).received == 1
    network.apply(with_rules(moved, "sg-gateway-uk", [rule(egress=True)]))
    assert ping(host(UK, "host"), UK.gateway).received == 0
