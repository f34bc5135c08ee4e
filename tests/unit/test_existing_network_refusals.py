"""Proves what a side in an existing network refuses or warns about, before anything is created.

Look-ups are answered by tests/unit/existing_cloud.py; in tests/engine/test_networks_of_others.py the engine does them.
"""

import re
from typing import Any

import pulumi
import pytest

from components import SettingsError, VpnGatewayPair
from components.inputs.settings import pair_settings
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
from tests.unit.existing_pair import pair, refusals, routes
from tests.unit.recording import Deployment, article_arguments

MARK = "gateway of vpn-gateway-pair/test/vpn-uk"


def test_a_default_route_that_is_there_is_refused_in_every_table_at_once(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}]
    cloud.routes[TABLE_B] = [{"cidrBlock": "0.0.0.0/0", "networkInterfaceId": "eni-of-somebody"}]
    assert refusals(deployment, cloud, article, existing_side()) == [
        f"existing_network.private_route_table_ids[{number}] '{table}': has a route to 0.0.0.0/0 already, to {target}; "
        "remove it, or set `take_default_route` to false to route only the peers' networks to the gateway"
        for number, table, target in ((0, TABLE_A, "nat-1"), (1, TABLE_B, "eni-of-somebody"))
    ]


def test_a_route_to_the_gateways_own_interface_and_its_address_are_its_own(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    # AWS names both for an interface that is attached.
    route = {"cidrBlock": "0.0.0.0/0", "networkInterfaceId": "eni-own", "instanceId": "i-own"}
    cloud.routes[TABLE_A] = [route]
    cloud.interfaces = {"eni-own": (MARK, "10.1.1.9")}
    recorder = pair(deployment, cloud, article, existing_side(), preview=True)
    assert recorder.named("vpn-uk-gateway-interface").inputs["description"] == MARK
    stash = recorder.named("vpn-uk-mark")
    assert stash.inputs == {"input": MARK}
    # The first mark is kept when the stack, the project or the component is renamed.
    assert list(stash.request.ignoreChanges) == ["input"]


def test_no_remedy_says_to_remove_a_route_to_a_gateway(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "0.0.0.0/0", "networkInterfaceId": "eni-former"}]
    cloud.routes[TABLE_B] = [{"cidrBlock": "172.31.0.0/17", "networkInterfaceId": "eni-former"}]
    cloud.interfaces = {"eni-former": ("gateway of vpn-gateway-pair/old/vpn-uk", "10.1.1.9")}
    renamed = (
        "; if it is this gateway's under its former name, take that name again or give it as an alias, "
        "or destroy the gateway under its former name first"
    )
    tables = "existing_network.private_route_table_ids"
    assert refusals(deployment, cloud, article, existing_side()) == [
        "gateway_private_ip '10.1.1.9': is in use by eni-former, the interface of another gateway; give a free address "
        f"of the public subnet{renamed}",
        f"{tables}[0] '{TABLE_A}': has a route to 0.0.0.0/0 already, to eni-former, the interface of another gateway; "
        "name a route table that no other gateway has, or set `take_default_route` to false to route only the peers' "
        f"networks to the gateway{renamed}",
        f"{tables}[1] '{TABLE_B}': has a route to 172.31.0.0/17, to eni-former, the interface of another gateway, "
        f"which leads past the tunnel to 172.31.0.0/16; exclude that range from the tunnel{renamed}",
    ]


def test_an_address_that_somebody_has_is_refused(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.interfaces = {"eni-of-somebody": ("", "10.1.1.9"), "eni-beside": ("", "10.1.1.10")}
    assert refusals(deployment, cloud, article, existing_side()) == [
        "gateway_private_ip '10.1.1.9': is in use by eni-of-somebody; give a free address of the public subnet"
    ]


@pytest.mark.parametrize("take_default_route", [True, False])
def test_the_public_subnets_own_route_table_is_no_private_one(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], *, take_default_route: bool
) -> None:
    left = existing_side(private_route_table_ids=[MAIN], take_default_route=take_default_route)
    assert refusals(deployment, cloud, article, left) == [
        f"existing_network.private_route_table_ids[0] '{MAIN}': is the public subnet's route table, and a route in it "
        "would lead the gateway's packets to itself; name the private subnets' route table; give them one if they have "
        "none"
    ]


def test_a_table_that_would_be_too_full_is_refused_and_one_that_needs_a_raised_quota_warned_about(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    def routes(number: int) -> list[dict[str, str]]:
        return [{"cidrBlock": f"192.168.{n // 256}.{n % 256}/32", "transitGatewayId": "tgw-1"} for n in range(number)]

    cloud.routes |= {TABLE_A: routes(1000), TABLE_B: routes(500)}
    warnings: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
        problems = refusals(deployment, cloud, article, existing_side())
    assert problems == [
        f"existing_network.private_route_table_ids[0] '{TABLE_A}': would have 1001 routes, more than the 1000 that AWS "
        "lets a table have at most; summarize routes of it"
    ]
    assert warnings == [f"{TABLE_B} would have 501 routes: more than 500 need a raised quota."]


def test_a_route_that_leads_past_the_tunnel_is_refused(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [
        {"cidrBlock": "172.16.0.0/12", "transitGatewayId": "tgw-1"},
        {"cidrBlock": "192.168.0.0/16", "transitGatewayId": "tgw-1"},
    ]
    (problem,) = refusals(deployment, cloud, article, existing_side())
    assert "has a route to 172.16.0.0/12, to tgw-1, which leads past the tunnel to 172.31.0.0/16" in problem


def test_a_shorter_prefix_beside_the_gateways_own_routes_is_left_alone(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "172.16.0.0/12", "transitGatewayId": "tgw-1"}]
    left = existing_side(private_route_table_ids=[TABLE_A], take_default_route=False)
    assert len(routes(pair(deployment, cloud, article, left, preview=True))) == 1


def test_what_aws_says_otherwise_is_refused_all_at_once(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.cidr_blocks = ["10.2.0.0/16", "10.3.0.0/16"]
    cloud.subnets[PUBLIC] = "10.1.7.0/24"
    cloud.vpc_of_tables = OTHER_VPC
    problems = refusals(deployment, cloud, article, existing_side(private_route_table_ids=[TABLE_A]))
    assert [problem.split(";")[0] for problem in problems] == [
        f"cidr_block '10.1.0.0/16': is no CIDR block of {VPC}, which has 10.2.0.0/16, 10.3.0.0/16",
        "gateway_private_ip '10.1.1.9': is outside its subnet 10.1.7.0/24",
        f"existing_network.private_route_table_ids[0] '{TABLE_A}': is in {OTHER_VPC}, not in {VPC}",
    ]


NO_WAY_OUT = [
    ([], None, f"an Internet gateway: {MAIN} has no default route; let it lead to an Internet gateway"),
    (
        [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}],
        None,
        f"an Internet gateway: the default route of {MAIN} leads to nat-1; let it lead to an Internet gateway",
    ),
    (
        [{"cidrBlock": "0.0.0.0/0", "gatewayId": GATEWAY}],
        f"{GATEWAY[:-1]}f",
        f"{GATEWAY[:-1]}f: the default route of {MAIN} leads to {GATEWAY}; let it lead to {GATEWAY[:-1]}f",
    ),
]


@pytest.mark.parametrize(("routes", "given", "told"), NO_WAY_OUT)
def test_a_public_subnet_without_a_way_out_is_refused(
    deployment: Deployment, cloud: ExistingCloud, routes: Any, given: str | None, told: str
) -> None:
    cloud.routes[MAIN] = routes
    left = existing_side(**({} if given is None else {"internet_gateway_id": given}))
    assert refusals(deployment, cloud, article_arguments(), left) == [
        f"existing_network.public_subnet_id '{PUBLIC}': has no way to the Internet by {told}; "
        "a route that the same program makes belongs into depends_on"
    ]


@pytest.mark.parametrize("preview", [True, False])
def test_a_way_out_that_the_same_program_may_still_make_is_warned_about_at_preview_and_refused_at_up(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], *, preview: bool
) -> None:
    cloud.routes[MAIN] = []
    cloud.answer(deployment)
    warnings: list[str] = []

    def program() -> None:
        args: Any = {**article, "left": existing_side(vpc_id=pulumi.Output.from_input(VPC))}
        VpnGatewayPair("vpn", args)

    told = f"existing_network.public_subnet_id '{PUBLIC}': has no way to the Internet by an Internet gateway: "
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
        if preview:
            deployment.run(program, preview=True)
        else:
            with pytest.raises(SettingsError, match=re.escape(told)):
                deployment.run(program)
    assert [text.startswith(told) for text in warnings] == ([True] if preview else [])


@pytest.mark.parametrize(
    ("side", "network", "expected"),
    [
        ({"public_subnet_cidr_block": "10.1.1.0/24"}, {}, "left.public_subnet_cidr_block '10.1.1.0/24': belongs to a"),
        ({"availability_zones": ["eu-west-2a"]}, {}, "left.availability_zones \"['eu-west-2a']\": belongs to a new"),
        ({"gateway_private_ip": None}, {}, "left.gateway_private_ip '': is needed with `existing_network`"),
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
        left = existing_side()
        left |= {"cidr_block": pulumi.Output.from_input("10.1.0.0/16"), "region": pulumi.Output.from_input("eu-west-2")}
        right = {**existing_side(), "name": "au", "existing_network": pulumi.Output.from_input({})}
        args: Any = {"left": left, "right": right, "verify": False, "tags": pulumi.Output.from_input({})}
        VpnGatewayPair("vpn", args)

    with pytest.raises(SettingsError) as caught:
        deployment.run(program)
    told = {each.setting: each for each in caught.value.problems}
    for setting in ("left.cidr_block", "left.region", "right.existing_network", "tags"):
        assert told[setting].value == "Output"
        assert "is not known before deployment" in told[setting].rule
