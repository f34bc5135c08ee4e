"""Proves what a side in an existing network creates, and what it leaves alone.

Look-ups are answered by tests/unit/existing_cloud.py; in tests/engine/test_networks_of_others.py the engine does them.
"""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components import SettingsError, VpnGatewayPair
from tests.unit.existing_cloud import (
    GATEWAY,
    MAIN,
    PRIVATE,
    PUBLIC,
    TABLE_A,
    TABLE_B,
    VPC,
    ExistingCloud,
    existing_side,
)
from tests.unit.existing_pair import pair, routes
from tests.unit.recording import Deployment

MARK = "gateway of vpn-gateway-pair/test/vpn-uk"
NEW = ("aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/internetGateway:InternetGateway",
       "aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation")  # fmt: skip


def test_nothing_of_the_network_is_made_and_each_named_table_gets_the_default_route(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    recorder = pair(deployment, cloud, article, existing_side())
    made = [each.name for token in NEW for each in recorder.of_type(token) if each.name.startswith("vpn-uk-")]
    assert made == []
    assert routes(recorder) == {
        f"vpn-uk-private-default-route-{table}": (table, "0.0.0.0/0", "vpn-uk-gateway-interface-id")
        for table in (TABLE_A, TABLE_B)
    }
    interface = recorder.named("vpn-uk-gateway-interface").inputs
    assert (interface["subnetId"], interface["privateIps"]) == (PUBLIC, ["10.1.1.9"])
    groups = recorder.of_type("aws:ec2/securityGroup:SecurityGroup")
    assert {each.inputs["vpcId"] for each in groups if "uk" in each.name} == {VPC}


def test_the_outputs_name_what_is_there(deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]) -> None:
    outputs = pair(deployment, cloud, article, existing_side()).outputs["vpn"]["left"]
    assert outputs["vpc_id"] == VPC
    assert outputs["public_subnet_id"] == PUBLIC
    assert outputs["private_subnet_ids"] == ["subnet-of-a", "subnet-of-b"]
    assert outputs["private_route_table_ids"] == [TABLE_A, TABLE_B]
    assert (outputs["public_route_table_id"], outputs["internet_gateway_id"]) == (MAIN, GATEWAY)


def test_every_look_up_of_the_network_goes_to_its_sides_provider(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    calls = pair(deployment, cloud, article, existing_side()).cloud.calls
    of_every_site = ("getAmi", "getInstanceTypeOfferings", "getRegion")
    own = [call for call in calls if call.token.rpartition(":")[2] not in of_every_site]
    assert len(own) == 9
    assert {call.provider.split("::")[-2] for call in own} == {"vpn-uk-aws"}


def test_without_the_default_route_only_the_peers_networks_lead_to_the_gateway(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    cloud.routes[TABLE_A] = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}]
    left = existing_side(private_route_table_ids=[TABLE_A], take_default_route=False)
    assert routes(pair(deployment, cloud, article, left)) == {
        f"vpn-uk-private-route-172.31.0.0-16-{TABLE_A}": (TABLE_A, "172.31.0.0/16", "vpn-uk-gateway-interface-id")
    }


def test_a_probe_host_stands_in_the_named_private_subnet(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any]
) -> None:
    left = {**existing_side(private_subnet_id=PRIVATE), "probe_host_private_ip": "10.1.10.41"}
    probe_host = pair(deployment, cloud, article, left).named("vpn-uk-probe-host").inputs
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
    assert not routes(recorder), "its name has the id in it"
    assert not any("getVpc" in call.token for call in recorder.cloud.calls)


@pytest.mark.parametrize(
    "tables",
    [
        lambda: [pulumi.Output.from_input(TABLE_B), TABLE_A],
        lambda: pulumi.Output.from_input([TABLE_A, TABLE_B]),
        lambda: [TABLE_A, TABLE_B],
    ],
)
def test_a_route_is_named_by_its_tables_id_however_and_wherever_that_is_given(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], tables: Callable[[], Any]
) -> None:
    cloud.answer(deployment)

    def program() -> None:
        args: Any = {**article, "left": existing_side(private_route_table_ids=tables())}
        VpnGatewayPair("vpn", args)

    recorder = deployment.run(program)
    assert {name: each[0] for name, each in routes(recorder).items()} == {
        f"vpn-uk-private-default-route-{table}": table for table in (TABLE_A, TABLE_B)
    }
    (proof,) = {str(recorder.named(f"vpn-verify-{side}").inputs["triggers"]) for side in ("uk", "au")}
    assert all(f"vpn-uk-private-default-route-{table}-id" in proof for table in (TABLE_A, TABLE_B))


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ([], "existing_network.private_route_table_ids '': is required; give at least one id, rtb-…, or an Output of"),
        (TABLE_A, f"existing_network.private_route_table_ids '{TABLE_A}': is not a list; write a list, even for one"),
        (["rtb"], "existing_network.private_route_table_ids[0] 'rtb': is not an id rtb-…; use rtb-… or an Output"),
        ([TABLE_A, TABLE_A], f"existing_network.private_route_table_ids '{TABLE_A}': is given more than once; give"),
    ],
)
def test_a_list_that_was_an_output_is_checked_as_one_that_was_not(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], tables: Any, told: str
) -> None:
    cloud.answer(deployment)

    def program() -> None:
        args: Any = {**article, "left": existing_side(private_route_table_ids=pulumi.Output.from_input(tables))}
        VpnGatewayPair("vpn", args)

    with pytest.raises(SettingsError) as caught:
        deployment.run(program)
    (problem,) = map(str, caught.value.problems)
    assert problem.startswith(told)
