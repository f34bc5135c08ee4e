"""Proves what a side in a network that is there already creates, what it refuses, and what it leaves alone.

Look-ups are answered by tests/unit/existing_cloud.py; in tests/engine/test_networks_of_others.py the engine does them.
"""

from typing import Any

import pulumi
import pytest

from components import SettingsError, VpnGatewayPair
from components.settings import pair_settings
from tests.unit.existing_cloud import (
    GATEWAY,
    MAIN,
    OTHER_VPC,
    PRIVATE,
    PUBLIC,
    TABLE_A,
    TABLE_B,
    VPC,
    ExistingCloud,
    existing_side,
)
from tests.unit.recording import Deployment, Recorder, article_arguments

ROUTE = "aws:ec2/route:Route"
NEW = ("aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/internetGateway:InternetGateway",
       "aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation")  # fmt: skip


@pytest.fixture
def cloud() -> ExistingCloud:
    return ExistingCloud()


def _pair(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], left: Any, *, preview: bool = False
) -> Recorder:
    cloud.answer(deployment)
    args: Any = {**article, "left": left}
    return deployment.run(lambda: VpnGatewayPair("vpn", args), preview=preview)


def _routes(recorder: Recorder) -> dict[str, tuple[str, str, str]]:
    return {
        each.name: tuple(each.inputs[key] for key in ("routeTableId", "destinationCidrBlock", "networkInterfaceId"))
        for each in recorder.of_type(ROUTE)
        if each.name.startswith("vpn-uk-")
    }


def _refusals(deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], left: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        _pair(deployment, cloud, article, left, preview=True)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_of_the_network_is_made_and_each_named_table_gets_the_default_route(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    recorder = _pair(deployment, cloud, article, existing_side())
    made = [each.name for token in NEW for each in recorder.of_type(token) if each.name.startswith("vpn-uk-")]
    assert made == []
    assert _routes(recorder) == {
        f"vpn-uk-private-default-route-{table}": (table, "0.0.0.0/0", "vpn-uk-gateway-interface-id")
        for table in (TABLE_A, TABLE_B)
    }
    interface = recorder.named("vpn-uk-gateway-interface").inputs
    assert (interface["subnetId"], interface["privateIps"]) == (PUBLIC, ["10.1.1.9"])
    groups = recorder.of_type("aws:ec2/securityGroup:SecurityGroup")
    assert {each.inputs["vpcId"] for each in groups if "uk" in each.name} == {VPC}


def test_the_outputs_name_what_is_there(deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]) -> None:
    outputs = _pair(deployment, cloud, article, existing_side()).outputs["vpn"]["left"]
    assert outputs["vpc_id"] == VPC
    assert outputs["public_subnet_id"] == PUBLIC
    assert outputs["private_subnet_ids"] == ["subnet-of-a", "subnet-of-b"]
    assert outputs["private_route_table_ids"] == [TABLE_A, TABLE_B]
    assert (outputs["public_route_table_id"], outputs["internet_gateway_id"]) == (MAIN, GATEWAY)


def test_every_look_up_of_the_network_goes_to_its_sides_provider(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    calls = _pair(deployment, cloud, article, existing_side()).cloud.calls
    own = [call for call in calls if "getAmi" not in call.token]
    assert len(own) == 7
    assert {call.provider.split("::")[-2] for call in own} == {"vpn-uk-aws"}


def test_without_the_default_route_only_the_peers_networks_lead_to_the_gateway(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}]
    left = existing_side(private_route_table_ids=[TABLE_A], take_default_route=False)
    assert _routes(_pair(deployment, cloud, article, left)) == {
        f"vpn-uk-private-route-172.31.0.0-16-{TABLE_A}": (TABLE_A, "172.31.0.0/16", "vpn-uk-gateway-interface-id")
    }


def test_a_probe_host_stands_in_the_named_private_subnet(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    left = {**existing_side(private_subnet_id=PRIVATE), "probe_host_private_ip": "10.1.10.41"}
    probe_host = _pair(deployment, cloud, article, left).named("vpn-uk-probe-host").inputs
    assert (probe_host["subnetId"], probe_host["privateIp"]) == (PRIVATE, "10.1.10.41")


def test_ids_may_be_outputs_and_unknown_at_preview(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    def unknown(text: str) -> Any:
        known = not pulumi.runtime.is_dry_run()

        async def value() -> Any:
            return text if known else None

        async def is_known() -> bool:
            return known

        return pulumi.Output(set(), value(), is_known())

    def program() -> None:
        left = existing_side(
            vpc_id=unknown(VPC), public_subnet_id=unknown(PUBLIC), private_route_table_ids=[unknown(TABLE_A)]
        )
        args: Any = {**article, "left": left}
        VpnGatewayPair("vpn", args)

    cloud.answer(deployment)
    recorder = deployment.run(program, preview=True)
    assert [each.name for each in recorder.of_type(ROUTE) if "uk" in each.name] == ["vpn-uk-private-default-route-1"]
    assert not any("getVpc" in call.token for call in recorder.cloud.calls)


def test_a_default_route_that_is_there_is_refused_in_every_table_at_once(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}]
    cloud.routes[TABLE_B] = [{"cidrBlock": "0.0.0.0/0", "networkInterfaceId": "eni-of-somebody"}]
    assert _refusals(deployment, cloud, article, existing_side()) == [
        f"existing_network.private_route_table_ids[{number}] '{table}': has a route to 0.0.0.0/0 already, to {target}; "
        "remove it, or set take_default_route to false to route only the peers' networks to the gateway"
        for number, table, target in ((0, TABLE_A, "nat-1"), (1, TABLE_B, "eni-of-somebody"))
    ]


def test_a_route_to_the_gateways_own_interface_is_its_own(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "0.0.0.0/0", "networkInterfaceId": "eni-own"}]
    cloud.own_interfaces = ["eni-own"]
    recorder = _pair(deployment, cloud, article, existing_side(), preview=True)
    (asked,) = [call.args["filters"] for call in recorder.cloud.calls if "getNetworkInterfaces" in call.token]
    mark = recorder.named("vpn-uk-gateway-interface").inputs["description"]
    assert asked == [{"name": "description", "values": [mark]}]
    assert mark == "gateway of vpn-gateway-pair/test/vpn-uk"


def test_a_route_that_leads_past_the_tunnel_is_refused(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [
        {"cidrBlock": "172.16.0.0/12", "transitGatewayId": "tgw-1"},
        {"cidrBlock": "192.168.0.0/16", "transitGatewayId": "tgw-1"},
    ]
    (problem,) = _refusals(deployment, cloud, article, existing_side())
    assert "has a route to 172.16.0.0/12, to tgw-1, which leads past the tunnel to 172.31.0.0/16" in problem


def test_a_shorter_prefix_beside_the_gateways_own_routes_is_left_alone(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "172.16.0.0/12", "transitGatewayId": "tgw-1"}]
    left = existing_side(private_route_table_ids=[TABLE_A], take_default_route=False)
    assert len(_routes(_pair(deployment, cloud, article, left, preview=True))) == 1


def test_what_aws_says_otherwise_is_refused_all_at_once(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.cidr_blocks = ["10.2.0.0/16", "10.3.0.0/16"]
    cloud.subnets[PUBLIC] = "10.1.7.0/24"
    cloud.vpc_of_tables = OTHER_VPC
    problems = _refusals(deployment, cloud, article, existing_side(private_route_table_ids=[TABLE_A]))
    assert [problem.split(";")[0] for problem in problems] == [
        f"cidr_block '10.1.0.0/16': is no CIDR block of {VPC}, which has 10.2.0.0/16, 10.3.0.0/16",
        "gateway_private_ip '10.1.1.9': is outside its subnet 10.1.7.0/24",
        f"existing_network.private_route_table_ids[0] '{TABLE_A}': is in {OTHER_VPC}, not in {VPC}",
    ]


@pytest.mark.parametrize(
    ("routes", "given", "told"),
    [
        ([], None, "an Internet gateway: there is none."),
        ([{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}], None, "an Internet gateway: it leads to nat-1."),
        (
            [{"cidrBlock": "0.0.0.0/0", "gatewayId": GATEWAY}],
            f"{GATEWAY[:-1]}f",
            f"{GATEWAY[:-1]}f: it leads to {GATEWAY}.",
        ),
    ],
)
def test_a_public_subnet_without_a_way_out_is_warned_about(
    deployment: Deployment, cloud: ExistingCloud, routes: Any, given: str | None, told: str
) -> None:
    warnings: list[str] = []
    cloud.routes[MAIN] = routes
    left = existing_side(**({} if given is None else {"internet_gateway_id": given}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
        _pair(deployment, cloud, article_arguments(), left, preview=True)
    assert warnings == [f"the default route of {MAIN}, the public subnet's, must lead to {told}"]


@pytest.mark.parametrize(
    ("side", "network", "expected"),
    [
        ({"public_subnet_cidr_block": "10.1.1.0/24"}, {}, "left.public_subnet_cidr_block '10.1.1.0/24': belongs to a"),
        ({"availability_zones": ["eu-west-2a"]}, {}, "left.availability_zones \"['eu-west-2a']\": belongs to a new"),
        ({"gateway_private_ip": None}, {}, "left.gateway_private_ip '': is needed with existing_network"),
        ({"probe_host_private_ip": "10.1.10.41"}, {}, "left.existing_network.private_subnet_id '': is needed for a"),
        ({}, {"private_subnet_id": PRIVATE}, f"left.existing_network.private_subnet_id '{PRIVATE}': is the probe host"),
        ({}, {"vpc_id": "vpc"}, "left.existing_network.vpc_id 'vpc': is not an id vpc-…"),
        ({}, {"vpc_id": None}, "left.existing_network.vpc_id '': is required"),
        ({}, {"private_route_table_ids": []}, "left.existing_network.private_route_table_ids '': is required"),
        (
            {},
            {"private_route_table_ids": [TABLE_A, TABLE_A]},
            f"left.existing_network.private_route_table_ids '{TABLE_A}': is given more than once",
        ),
        ({}, {"vpc": VPC}, "left.existing_network.vpc '…': is not a known setting"),
        ({"existing_network": [VPC]}, {}, f"left.existing_network \"['{VPC}']\": is not a mapping"),
    ],
)
def test_arguments_that_cannot_be_meant_together_are_named(
    article: dict[str, Any], side: dict[str, Any], network: dict[str, Any], expected: str
) -> None:
    given = {**existing_side(**network), **side}
    args: Any = {**article, "left": {key: value for key, value in given.items() if value is not None}}
    with pytest.raises(SettingsError) as caught:
        pair_settings("vpn", args)
    assert [str(each) for each in caught.value.problems if str(each).startswith(expected)], caught.value


def test_an_output_where_the_program_must_know_is_a_named_problem(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    def program() -> None:
        left = existing_side(private_route_table_ids=pulumi.Output.from_input([TABLE_A]))
        left |= {"cidr_block": pulumi.Output.from_input("10.1.0.0/16"), "region": pulumi.Output.from_input("eu-west-2")}
        right = {**existing_side(), "name": "au", "existing_network": pulumi.Output.from_input({})}
        args: Any = {"left": left, "right": right, "verify": False, "tags": pulumi.Output.from_input({})}
        VpnGatewayPair("vpn", args)

    with pytest.raises(SettingsError) as caught:
        deployment.run(program)
    told = {each.setting: each for each in caught.value.problems}
    for setting in ("left.existing_network.private_route_table_ids", "left.cidr_block", "left.region",
                    "right.existing_network", "tags"):  # fmt: skip
        assert told[setting].value == "Output"
        assert "is not known before deployment" in told[setting].rule
