"""The steps of docs/leaving.md that concern the pair, with the real engine and the lab's API, without machines.

Proves that foreign routes with longer prefixes stay when the pair is destroyed, that `pulumi up` refuses them in an
existing network, that `takeDefaultRoute` can be changed beside them, and that the commands of the document keep a
network that the pair made. Does not prove that packets flow meanwhile, nor AWS: the new routes lead to an Internet
gateway instead of a NAT or transit gateway. `pytest tests/engine/test_leaving.py`; there is nothing to clean up.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.api_process import ApiProcess, running_api
from tests.engine.existing_networks import network_of_others
from tests.engine.program_stack import ProgramStack
from tests.generated import ROOT

pytestmark = [pytest.mark.engine, pytest.mark.whole]

LEFT, RIGHT = "eu-west-2", "ap-southeast-2"
PEER, PEERS_HALVES = "172.31.0.0/16", ("172.31.0.0/17", "172.31.128.0/17")
PUBLIC = {"uk": "10.1.1.0-24", "au": "172.31.12.0-24"}
RANGES = {"uk": "10.1.10.0-24", "au": "172.31.200.0-24"}
ANYWHERE, HALVES = "0.0.0.0/0", ("0.0.0.0/1", "128.0.0.0/1")


@pytest.fixture
def stack(engine_environment: dict[str, str], tmp_path: Path) -> Iterator[ProgramStack]:
    """Yield an empty stack and an empty account."""
    with running_api() as api:
        yield ProgramStack(tmp_path / "stack", api).make(engine_environment)


def routes(api: ApiProcess, region: str, table: str) -> dict[str, str]:
    """Return destination -> target of the routes that AWS did not make by itself."""
    entries = api.client("ec2", region).describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    targets = {each["DestinationCidrBlock"]: each.get("NetworkInterfaceId") or each["GatewayId"] for each in entries}
    return {destination: target for destination, target in targets.items() if target != "local"}


def test_longer_routes_take_the_traffic_and_stay_when_the_pair_leaves_an_existing_network(stack: ProgramStack) -> None:
    api = stack.api
    ec2 = api.client("ec2", LEFT)
    ids = network_of_others(api, LEFT, "10.1.0.0/16", "10.1.1.0/24")
    [table] = ids["private_route_table_ids"]
    [internet] = [
        each["InternetGatewayId"]
        for each in ec2.describe_internet_gateways()["InternetGateways"]
        if ids["vpc_id"] in {attached["VpcId"] for attached in each["Attachments"]}
    ]

    def add(target: dict[str, str], *destinations: str) -> None:
        for destination in destinations:
            ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, **target)

    for key in ("leftPublicSubnetCidrBlock", "leftPrivateSubnetCidrBlocks", "leftProbeHostPrivateIp"):
        stack.cli("config", "rm", key)
    for key, value in (("vpcId", ids["vpc_id"]), ("publicSubnetId", ids["public_subnet_id"])):
        stack.cli("config", "set", "--path", f"leftExistingNetwork.{key}", value)
    stack.cli("config", "set", "--path", "leftExistingNetwork.privateRouteTableIds[0]", table)
    stack.up()
    interface = routes(api, LEFT, table)[ANYWHERE]

    # Another target takes the NAT's traffic; the tunnel stays.
    add({"NetworkInterfaceId": interface}, *PEERS_HALVES)
    add({"GatewayId": internet}, *HALVES)
    assert "which leads past the tunnel to" in stack.run("preview", code=1).output
    stack.cli("config", "set", "--path", "leftExistingNetwork.takeDefaultRoute", "false")
    stack.up()
    expected = dict.fromkeys(HALVES, internet) | dict.fromkeys([*PEERS_HALVES, PEER], interface)
    assert routes(api, LEFT, table) == expected

    # Then it takes the tunnel's traffic, too.
    for half in PEERS_HALVES:
        ec2.replace_route(RouteTableId=table, DestinationCidrBlock=half, GatewayId=internet)
    assert "which leads past the tunnel to" in stack.run("preview", code=1).output
    stack.destroy()
    assert routes(api, LEFT, table) == dict.fromkeys([*HALVES, *PEERS_HALVES], internet)


def test_a_network_that_the_pair_made_is_kept_by_the_commands_of_the_document(stack: ProgramStack) -> None:
    api = stack.api
    stack.up()
    ids = stack.ids()
    tables = {region: ids[f"vpn-{site}-private-routes"] for site, region in (("uk", LEFT), ("au", RIGHT))}
    for site, region in (("uk", LEFT), ("au", RIGHT)):
        for half in HALVES:
            api.client("ec2", region).create_route(
                RouteTableId=tables[region],
                DestinationCidrBlock=half,
                GatewayId=ids[f"vpn-{site}-internet-gateway"],
            )

    script = (ROOT / "docs/leaving.md").read_text(encoding="utf-8")
    [pattern] = re.findall(r"grep -E '(.+)' \|", script)
    assert "pulumi destroy --exclude-protected" in script
    urns = [each["urn"] for each in stack.deployment()["resources"]]
    stack.cli("state", "protect", "--yes", *(urn for urn in urns if re.search(pattern, urn)))
    stack.cli("destroy", "--yes", "--skip-preview", "--exclude-protected")

    kept = {
        f"vpn-{site}-{part}"
        for site in ("uk", "au")
        for part in (
            "vpc",
            "internet-gateway",
            "public-subnet",
            f"private-subnet-{RANGES[site]}",
            "public-routes",
            f"public-routes-association-{PUBLIC[site]}",
            "public-default-route",
            "private-routes",
            f"private-routes-association-{RANGES[site]}",
        )
    }
    assert {name for name in stack.ids() if name.startswith("vpn-")} == kept
    for site, region in (("uk", LEFT), ("au", RIGHT)):
        assert set(routes(api, region, tables[region])) == set(HALVES)
        assert set(routes(api, region, ids[f"vpn-{site}-public-routes"])) == {ANYWHERE}
        assert {each[:4] for each in api.left_over(region)} == {"vpc-", "igw-"}

    before = [api.left_over(region) for region in (LEFT, RIGHT)]
    stack.cli("stack", "rm", "--force", "--yes")
    assert [api.left_over(region) for region in (LEFT, RIGHT)] == before
