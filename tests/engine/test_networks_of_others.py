"""Pairs in existing networks, with the real engine and the lab's API, without machines.

Proves that an existing network is changed only in the named route tables and restored afterwards; that a conflicting
route is refused before anything is created; that the pair recognizes its own routes after it was renamed and in any
form of the list of tables; and that a hub and several pairs in one program do not disturb each other. Does not prove
that packets flow. There is nothing to clean up.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation

from components import VpnGatewayPair
from tests.engine.api_process import ApiProcess
from tests.engine.inline_stack import InlineStack

pytestmark = pytest.mark.engine

LEFT, RIGHT = "eu-west-2", "ap-southeast-2"


@pytest.fixture
def stack(aws_environment: dict[str, str], tmp_path: Path) -> Iterator[InlineStack]:
    inline = InlineStack(tmp_path / "stack", ["aws", "random", "tls", "command"])
    yield inline
    if "resources" in json.loads(inline.state_text())["checkpoint"]["latest"]:
        inline.destroy()


def network() -> tuple[dict[str, Any], list[pulumi.Resource]]:
    """Declare a network in the left region, in two zones; return its ids, and its resources without an id there."""
    provider = aws.Provider("theirs", region=LEFT)
    options = pulumi.ResourceOptions(provider=provider)
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.1.0.0/16", opts=options)
    internet = aws.ec2.InternetGateway("internet", vpc_id=vpc.id, opts=options)
    subnets = {
        name: aws.ec2.Subnet(name, vpc_id=vpc.id, cidr_block=block, availability_zone=LEFT + zone, opts=options)
        for name, block, zone in (
            ("public", "10.1.1.0/24", "a"),
            ("private-a", "10.1.10.0/24", "a"),
            ("private-b", "10.1.11.0/24", "b"),
        )
    }
    tables = {name: aws.ec2.RouteTable(name, vpc_id=vpc.id, opts=options) for name in subnets}
    associations = {
        name: aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=tables[name].id, opts=options)
        for name, subnet in subnets.items()
    }
    out = aws.ec2.Route(
        "out",
        route_table_id=tables["public"].id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=internet.id,
        opts=options,
    )
    ids = {
        "vpc_id": vpc.id,
        "public_subnet_id": subnets["public"].id,
        "private_route_table_ids": [tables["private-a"].id, tables["private-b"].id],
        "private_subnet_id": subnets["private-b"].id,
        "internet_gateway_id": internet.id,
    }
    pulumi.export("ids", ids)
    return ids, [out, *associations.values()]


def network_only() -> None:
    """Declare only the network."""
    network()


def side(name: str, region: str, cidr_block: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "region": region, "cidr_block": cidr_block, **more}


def existing(ids: dict[str, Any], **more: Any) -> dict[str, Any]:
    address = {"gateway_private_ip": "10.1.1.9", "probe_host_private_ip": "10.1.11.41"}
    return side("uk", LEFT, "10.1.0.0/16", existing_network=ids, **{**address, **more})


def pair(name: str, left: Any, right: Any, **options: Any) -> VpnGatewayPair:
    args: Any = {"left": left, "right": right, "verify": False}
    return VpnGatewayPair(name, args, pulumi.ResourceOptions(**options))


def both(
    ids: Callable[[dict[str, Any]], dict[str, Any]], name: str = "vpn", side_name: str = "uk", **options: Any
) -> Callable[[], None]:
    """Return a program with the network and a pair in it; `ids` turns the network's ids into the pair's arguments."""

    def program() -> None:
        declared, others = network()
        left = {**existing(ids(declared)), "name": side_name}
        right = side("au", RIGHT, "172.31.0.0/16")
        pulumi.export("left", pair(name, left, right, depends_on=others, **options).left)

    return program


def with_tables(ids: dict[str, Any], make: Callable[[list[Any]], Any]) -> dict[str, Any]:
    return {**ids, "private_route_table_ids": make(ids["private_route_table_ids"])}


def routes(api: ApiProcess) -> dict[str, list[tuple[str, str]]]:
    """Return table -> routes in the left region that AWS did not make by itself."""
    tables = api.client("ec2", LEFT).describe_route_tables()["RouteTables"]
    return {
        table["RouteTableId"]: sorted(
            (route["DestinationCidrBlock"], route.get("NetworkInterfaceId") or route["GatewayId"])
            for route in table["Routes"]
            if route.get("GatewayId") != "local"
        )
        for table in tables
    }


@pytest.mark.whole
def test_only_the_named_tables_of_a_network_get_routes_and_all_are_restored(
    stack: InlineStack, api: ApiProcess
) -> None:
    ids = stack.up(network_only).outputs["ids"].value
    before = routes(api)
    known = both(lambda _: ids)

    ec2 = api.client("ec2", LEFT)
    first, second = ids["private_route_table_ids"]
    ec2.create_route(RouteTableId=second, DestinationCidrBlock="0.0.0.0/0", GatewayId=ids["internet_gateway_id"])
    with pytest.raises(automation.CommandError) as refused:
        stack.preview(known)
    assert f"'{second}': has a route to 0.0.0.0/0 already, to {ids['internet_gateway_id']}; remove it" in str(
        refused.value
    )
    assert "Traceback" not in str(refused.value)
    ec2.delete_route(RouteTableId=second, DestinationCidrBlock="0.0.0.0/0")

    stack.preview(known)
    left = stack.up(known).outputs["left"].value
    interface = left["network_interface_id"]
    assert routes(api) == {**before, **{table: [("0.0.0.0/0", interface)] for table in (first, second)}}
    assert sorted(left["private_subnet_ids"]) == sorted(
        each["SubnetId"]
        for each in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [ids["vpc_id"]]}])["Subnets"]
        if each["SubnetId"] != ids["public_subnet_id"]
    )
    assert left["internet_gateway_id"] == ids["internet_gateway_id"]
    # The pair recognizes its routes in any form of the list of tables.
    (route,) = [
        each
        for each in ec2.describe_route_tables(RouteTableIds=[first])["RouteTables"][0]["Routes"]
        if each.get("NetworkInterfaceId") == interface
    ]
    assert route["InstanceId"] == left["instance_id"]
    for same in (
        known,
        both(lambda outputs: outputs),
        both(lambda outputs: with_tables(outputs, lambda tables: pulumi.Output.all(*tables))),
    ):
        assert stack.preview(same).change_summary.keys() == {"same"}, stack.output

    # It also does after a change of the stack's or the pair's name. Another name of a side is refused.
    stack.rename("other")
    assert stack.preview(known).change_summary.keys() == {"same"}, stack.output
    office = both(lambda _: ids, "office", aliases=[pulumi.Alias(name="vpn")])
    assert stack.preview(office).change_summary.keys() == {"same", "update"}, stack.output
    with pytest.raises(automation.CommandError) as refused:
        stack.preview(both(lambda _: ids, side_name="gb"))
    for table in (first, second):
        problem = f"'{table}': has a route to 0.0.0.0/0 already, to {interface}, the interface of another gateway; "
        assert problem in str(refused.value)
    assert "remove it" not in str(refused.value)

    # The first of two Outputs is removed, and then added again as text.
    stack.up(both(lambda outputs: with_tables(outputs, lambda tables: tables[1:])))
    assert routes(api) == {**before, second: [("0.0.0.0/0", interface)]}
    stack.up(known)
    assert routes(api) == {**before, **{table: [("0.0.0.0/0", interface)] for table in (first, second)}}

    stack.up(network_only)
    assert routes(api) == before
    assert {each for each in api.left_over(LEFT) if each.startswith("eni-")} == set()


def test_a_network_of_the_same_program_is_created_used_and_destroyed(stack: InlineStack, api: ApiProcess) -> None:
    program = both(lambda ids: ids)
    stack.preview(program)
    left = stack.up(program).outputs["left"].value
    assert stack.preview(program).change_summary.keys() == {"same"}
    assert [sorted(each) for table, each in routes(api).items() if table in left["private_route_table_ids"]] == [
        [("0.0.0.0/0", left["network_interface_id"])]
    ] * 2
    stack.destroy()
    assert [*api.left_over(LEFT), *api.left_over(RIGHT)] == []


@pytest.mark.whole
def test_three_pairs_with_a_hub_and_both_directions_do_not_disturb_each_other(
    stack: InlineStack, api: ApiProcess
) -> None:
    def program() -> None:
        first = pair("first", side("uk", LEFT, "10.1.0.0/16"), side("au", RIGHT, "172.31.0.0/16"))
        hub = {
            "vpc_id": first.left["vpc_id"],
            "public_subnet_id": first.left["public_subnet_id"],
            "private_route_table_ids": first.left["private_route_table_ids"],
            "internet_gateway_id": first.left["internet_gateway_id"],
            "take_default_route": False,
        }
        shared = side("uk", LEFT, "10.1.0.0/16", existing_network=hub, gateway_private_ip="10.1.0.9")
        pair("second", shared, side("jp", "ap-northeast-1", "172.30.0.0/16"), depends_on=[first])
        pair("third", side("au", RIGHT, "172.31.0.0/16"), side("uk", LEFT, "10.1.0.0/16"))

    stack.preview(program)
    stack.up(program)
    resources = stack.resources()
    shared_table = resources["first-uk-private-routes"]["id"]
    wanted = {
        "first-uk-private-default-route": "0.0.0.0/0",
        f"second-uk-private-route-172.30.0.0-16-{shared_table}": "172.30.0.0/16",
    }
    for name, destination in wanted.items():
        route = resources[name]["outputs"]
        assert route["routeTableId"] == shared_table
        assert route["destinationCidrBlock"] == destination
        assert route["networkInterfaceId"] == resources[f"{name.split('-')[0]}-uk-gateway-interface"]["id"]
    for token in ("aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile", "aws:ssm/parameter:Parameter"):
        names = [each["outputs"]["name"] for each in resources.values() if each["type"] == token]
        assert len(names) == len(set(names)) == (18 if "ssm" in token else 6)
    assert stack.up(program, refresh=True).change_summary.keys() == {"same"}
    stack.destroy()
    assert [each for region in (LEFT, RIGHT, "ap-northeast-1") for each in api.left_over(region)] == []
