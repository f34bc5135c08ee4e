"""The network's plan: routes, links and addresses for a world. The kernel's part is tested in lab/tests/machines."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from lab import settings
from lab.network import guard, model, names, plan, resolver
from lab.tests.network_world import AU, UK, article, vpc, with_interface, with_vpc
from lab.world import Route

UK_NAMESPACE = names.vpc_namespace(UK.vpc_id)
PRIVATE_TABLE = names.routing_table("rtb-private-uk")
PUBLIC_TABLE = names.routing_table("rtb-public-uk")
DEFAULT = IPv4Network("0.0.0.0/0")
UPLINKS = {UK.vpc_id: 0, AU.vpc_id: 1}


def routes(namespace: model.Namespace, table: int) -> dict[str, model.Route]:
    return {str(route.destination): route for route in namespace.routes if route.table == table}


def test_the_private_default_route_goes_to_the_gateways_interface() -> None:
    route = routes(plan.make(article(), UPLINKS)[UK_NAMESPACE], PRIVATE_TABLE)["0.0.0.0/0"]
    assert (route.kind, route.interface, route.gateway) == (
        "unicast",
        names.tap(UK.eni_id("gateway")),
        IPv4Address(UK.gateway),
    )


def test_a_route_to_an_eni_without_a_running_instance_is_a_blackhole() -> None:
    world = article()
    stopped = replace(
        world,
        instances=tuple(
            replace(instance, state="stopped") if instance.id == UK.instance_id("gateway") else instance
            for instance in world.instances
        ),
    )
    assert routes(plan.make(stopped, UPLINKS)[UK_NAMESPACE], PRIVATE_TABLE)["0.0.0.0/0"].kind == "blackhole"


def test_a_route_to_a_detached_internet_gateway_is_a_blackhole_and_its_elastic_ips_have_no_route() -> None:
    detached = plan.make(with_vpc(article(), replace(vpc(UK), internet_gateway_id=None)), UPLINKS)
    assert routes(detached[UK_NAMESPACE], PUBLIC_TABLE)["0.0.0.0/0"].kind == "blackhole"
    assert f"{UK.elastic_ip}/32" not in routes(detached[settings.INTERNET_NAMESPACE], model.MAIN_TABLE)
    assert f"{AU.elastic_ip}/32" in routes(detached[settings.INTERNET_NAMESPACE], model.MAIN_TABLE)


def test_a_table_without_a_default_route_drops_packets_to_other_destinations() -> None:
    tables = tuple(replace(table, routes=()) for table in vpc(UK).route_tables)
    namespace = plan.make(with_vpc(article(), replace(vpc(UK), route_tables=tables)), UPLINKS)[UK_NAMESPACE]
    kinds = {destination: route.kind for destination, route in routes(namespace, PRIVATE_TABLE).items()}
    assert kinds == {
        "0.0.0.0/0": "blackhole",
        UK.cidr_block: "throw",
    }


def test_a_route_more_specific_than_local_wins_over_local() -> None:
    inspection = Route(
        destination=IPv4Network(UK.public_subnet), target_kind="network-interface", target_id=UK.eni_id("gateway")
    )
    tables = tuple(replace(table, routes=(*table.routes, inspection)) for table in vpc(UK).route_tables)
    namespace = plan.make(with_vpc(article(), replace(vpc(UK), route_tables=tables)), UPLINKS)[UK_NAMESPACE]
    assert routes(namespace, PRIVATE_TABLE)[UK.public_subnet].gateway == IPv4Address(UK.gateway)
    assert routes(namespace, PRIVATE_TABLE)[UK.cidr_block].kind == "throw"


def test_an_instance_with_user_data_gets_a_tap_and_no_namespace() -> None:
    namespaces = plan.make(article(user_data=b"#cloud-config\n"), UPLINKS)
    assert names.host_namespace(UK.instance_id("gateway")) not in namespaces
    (tap,) = [link for link in namespaces[UK_NAMESPACE].links if link.name == names.tap(UK.eni_id("gateway"))]
    assert (tap.peer, tap.mtu) == (None, 9001)


def test_an_instance_without_user_data_is_a_namespace_with_the_enis_mac_address_and_resolver() -> None:
    host = plan.make(article(), UPLINKS)[names.host_namespace(UK.instance_id("host"))]
    (link,) = host.links
    eni = next(eni for eni in vpc(UK).network_interfaces if eni.id == UK.eni_id("host"))
    assert (link.name, link.mac_address, link.mtu) == ("ens5", eni.mac_address, 9001)
    assert [str(address.address) for address in host.addresses] == ["10.1.10.41/24"]
    assert [(route.destination, route.gateway) for route in host.routes] == [(DEFAULT, IPv4Address("10.1.10.1"))]
    assert host.resolv_conf == "nameserver 10.1.0.2\nsearch eu-west-2.compute.internal\n"


@pytest.mark.parametrize("state", ["stopping", "stopped", "shutting-down", "terminated"])
def test_an_instance_that_stops_or_ends_has_no_link(state: str) -> None:
    world = article()
    # The state is a parameter, not a literal.
    changed = tuple(replace(instance, state=state) for instance in world.instances)  # type: ignore[arg-type]
    namespaces = plan.make(replace(world, instances=changed), UPLINKS)
    assert [link.name for link in namespaces[UK_NAMESPACE].links] == ["uplink"]
    assert names.host_namespace(UK.instance_id("host")) not in namespaces


def test_both_ends_of_every_veth_name_each_other() -> None:
    namespaces = plan.make(article(), UPLINKS)
    for namespace in namespaces.values():
        for link in namespace.links:
            assert link.peer is not None
            (other,) = [end for end in namespaces[link.peer.namespace].links if end.name == link.peer.name]
            assert other.peer == model.Peer(namespace=namespace.name, name=link.name)
            assert other.mtu == link.mtu


def test_the_root_namespace_gets_routes_only_for_the_labs_internet() -> None:
    root = plan.make(article(), UPLINKS)[None]
    assert {str(route.destination) for route in root.routes} == {
        f"{settings.ADMINISTRATOR_GATEWAY}/32",
        *(str(pool) for pool in settings.ELASTIC_IP_POOLS),
        str(settings.INTERNET),
    }
    assert {route.source for route in root.routes} == {settings.ADMINISTRATOR}
    assert {route.interface for route in root.routes} == {names.administrator_link()}


def test_a_vpc_keeps_its_uplink_when_others_are_created_and_deleted() -> None:
    first = plan.number_uplinks({}, ["vpc-a", "vpc-b"])
    second = plan.number_uplinks(first, ["vpc-b", "vpc-0", "vpc-c"])
    assert second["vpc-b"] == first["vpc-b"]
    assert len(set(second.values())) == 3


def test_more_vpcs_than_uplinks_are_refused_with_the_setting_to_change() -> None:
    with pytest.raises(plan.NetworkError, match=r"65 VPCs.*room for 64.*VPC_UPLINKS"):
        plan.number_uplinks({}, [f"vpc-{number}" for number in range(65)])


def test_interface_names_fit_and_table_numbers_differ_from_the_kernels_own() -> None:
    eni_id = "eni-0123456789abcdef0"
    assert len(names.tap(eni_id)) == len(names.uplink("vpc-0123456789abcdef0")) == 15
    assert names.tap(eni_id) != names.tap("eni-0123456789abcdef1")
    assert all(0x40000000 <= names.routing_table(f"rtb-{number}") < 0x80000000 for number in range(1000))


def test_the_domain_of_private_names_follows_the_region() -> None:
    assert names.private_domain("ap-southeast-2") == "ap-southeast-2.compute.internal"
    assert names.private_domain("us-east-1") == "ec2.internal"


def test_a_route_of_the_host_that_overlaps_the_labs_ranges_is_reported() -> None:
    conflicts = guard.overlaps([(IPv4Network("198.18.0.0/15"), "eth0"), (IPv4Network("192.168.0.0/24"), "eth1")])
    assert conflicts == [(IPv4Network("198.18.0.0/15"), "eth0", settings.INTERNET)]


def test_the_dhcp_server_has_every_interface_of_the_vpc_before_its_instance_runs() -> None:
    world = with_interface(article(), UK.eni_id("gateway"), instance_id=None)
    lines = resolver.render(world.vpcs[0]).splitlines()
    eni = next(eni for eni in world.vpcs[0].network_interfaces if eni.id == UK.eni_id("gateway"))
    assert f"dhcp-host={eni.mac_address},10.1.1.254,ip-10-1-1-254,7d" in lines
    assert "dhcp-range=set:subnet-public-uk,10.1.1.0,static,255.255.255.0,7d" in lines
    assert "dhcp-option=tag:subnet-public-uk,option:router,10.1.1.1" in lines
    assert "dhcp-option=option:mtu,9001" in lines
    assert "dhcp-option=option:dns-server,10.1.0.2" in lines
