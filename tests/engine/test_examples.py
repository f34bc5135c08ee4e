"""Every program in examples/, each in its language, on the real engine against the emulated API; SDKs are compiled.

Proves `pulumi install`, preview, up, a second up that changes nothing, and destroy that leaves nothing, for a consumer
who has only the files in git. Does not prove the tunnel (tests/lab). Command: `make test-whole`; there is nothing to
clean up.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.engine import golang, nodejs
from tests.consumer_types import type_errors
from tests.engine.api_process import ApiProcess, running_api
from tests.engine.examples import REGIONS, Example, copy_checkout

OWN = {
    "python": ("database-to-au", "networkInterfaceId", "office-uk-gateway-interface"),
    "python-sdk": ("pinging", "vpcSecurityGroupIds", "office-uk-private-hosts-security-group"),
    "typescript": ("database-to-au", "networkInterfaceId", "office-uk-gateway-interface"),
    "go": ("database", "securityGroupId", "office-uk-private-hosts-security-group"),
    "yaml": ("database-to-au", "networkInterfaceId", "office-uk-gateway-interface"),
}
"""Example -> one of its own resources, an input of that, and the pair's resource that the input names."""

EXISTING_NETWORK = "yaml-existing-network"
"""The example in which the pair uses the program's resources, not the other way round."""

NAT = "nat-python"
"""The example of a gateway without peers."""

HUB = "hub-python"
"""The example of a gateway with several peers."""

PYTHON = {
    HUB: ("vpn_gateway_pair", "venv/lib/python*/site-packages"),
    NAT: ("vpn_gateway_pair", "venv/lib/python*/site-packages"),
    "python": ("vpn_gateway_pair", "venv/lib/python*/site-packages"),
    "python-sdk": ("pulumi_vpn_gateway_pair", "sdks/vpn-gateway-pair"),
}
"""Example in Python -> the package that it imports, and the folder where it was installed or generated."""


@pytest.fixture
def api() -> Iterator[ApiProcess]:
    """Run one API for each example, so that each test sees only its own leftovers."""
    with running_api() as process:
        yield process


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the checkout, in which the plugin is installed once for all tests."""
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


def check_types(example: Example) -> None:
    """Check the program and its SDK with the language's own type checker; YAML has none."""
    folder = example.folder
    if folder.name in PYTHON:
        package, place = PYTHON[folder.name]
        (packages,) = folder.glob(place)
        assert type_errors(folder / "__main__.py", package, packages) == ""
    if folder.name == "typescript":
        node = nodejs.find()
        run([str(node.path), "node_modules/typescript/bin/tsc"], folder, node.environment())
    if folder.name == "go":
        go = golang.find(golang.required(folder / "go.mod"))
        sdk = "example.com/pulumi-vpn-gateway-pair/sdk/go/..."
        run([str(go.path), "vet", "./...", sdk], folder, golang.environment())


def checked(example: Example) -> Example:
    """Return the example with what it needs installed, an empty stack, and types that are right."""
    example.init()
    check_types(example)
    return example


def check_end(example: Example) -> None:
    """Check that a second `up` changes nothing, and that `destroy` leaves nothing."""
    example.run("up", "--yes", "--skip-preview", "--expect-no-changes")
    example.run("destroy", "--yes", "--skip-preview")
    assert example.left_over() == []


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.whole
@pytest.mark.parametrize("name", OWN)
def test_an_example_is_deployed_stays_unchanged_and_leaves_nothing(
    name: str, checkout: Path, api: ApiProcess, engine_environment: dict[str, str]
) -> None:
    example = checked(Example.of(checkout / "examples" / name, engine_environment, api))
    output = example.run("up", "--yes", "--diff")
    assert output.index("Previewing update") < output.index("Updating")
    resources = example.resources()
    assert resources["office"]["type"] == "vpn-gateway-pair:index:VpnGatewayPair"
    assert "ciphertext" in resources["office"]["outputs"]["ssh_private_key"]
    own, field, of_the_pair = OWN[name]
    assert resources[of_the_pair]["id"] in resources[own]["inputs"][field]
    assert example.outputs()["gateway"] == resources["office-uk-gateway-address"]["outputs"]["publicIp"]
    check_end(example)


@pytest.mark.whole
def test_a_nat_gateway_without_peers_is_deployed_stays_unchanged_and_leaves_nothing(
    checkout: Path, api: ApiProcess, engine_environment: dict[str, str]
) -> None:
    example = checked(Example.of(checkout / "examples" / NAT, engine_environment, api))
    example.run("up", "--yes", "--skip-preview")
    resources = example.resources()
    assert resources["nat"]["type"] == "vpn-gateway-pair:index:VpnGateway"
    assert resources["nat"]["outputs"]["connection_names"] == []
    assert [resources["worker"]["inputs"]["subnetId"]] == resources["nat"]["outputs"]["private_subnet_ids"]
    assert example.outputs()["gateway"] == resources["nat-gateway-address"]["outputs"]["publicIp"]
    check_end(example)


@pytest.mark.whole
def test_a_hub_is_deployed_stays_unchanged_and_leaves_nothing(
    checkout: Path, api: ApiProcess, engine_environment: dict[str, str]
) -> None:
    example = checked(Example.of(checkout / "examples" / HUB, engine_environment, api))
    example.run("up", "--yes", "--skip-preview")
    resources = example.resources()
    assert resources["uk"]["outputs"]["connection_names"] == ["uk-to-au"]
    assert example.outputs()["gateways"] == {
        site: resources[f"address-{site}"]["outputs"]["publicIp"] for site in ("uk", "au")
    }
    check_end(example)


@pytest.mark.whole
def test_a_consumers_own_network_gets_only_two_routes_and_is_restored_afterwards(
    checkout: Path, api: ApiProcess, engine_environment: dict[str, str]
) -> None:
    example = Example.of(checkout / "examples" / EXISTING_NETWORK, engine_environment, api)
    program = example.folder / "Pulumi.yaml"
    whole = program.read_text()
    without_pair = yaml.safe_load(whole)
    del without_pair["resources"]["office"], without_pair["outputs"]

    program.write_text(yaml.safe_dump(without_pair))
    example.init()
    example.run("up", "--yes", "--skip-preview")
    before = network_of(api)

    program.write_text(whole)
    output = example.run("up", "--yes")
    assert output.index("Previewing update") < output.index("Updating")
    resources = example.resources()
    tables = [resources[each]["id"] for each in ("routes-a", "routes-b")]
    assert example.outputs()["privateRoutes"] == tables
    changed = {name: each for name, each in network_of(api).items() if each != before.get(name)}
    to_au = ("172.31.0.0/16", resources["office-uk-gateway-interface"]["id"])
    assert {name for name in changed if name in before} == {*tables}
    for table in tables:
        assert changed[table] == {**before[table], "Routes": sorted([*before[table]["Routes"], to_au])}
    groups = {each["id"] for name, each in resources.items() if name.endswith("-security-group")}
    assert {name for name in changed if name not in before} <= groups
    example.run("up", "--yes", "--skip-preview", "--expect-no-changes")

    program.write_text(yaml.safe_dump(without_pair))
    example.run("up", "--yes", "--skip-preview")
    assert network_of(api) == before
    example.run("destroy", "--yes", "--skip-preview")
    assert example.left_over() == []


def network_of(api: ApiProcess) -> dict[str, dict[str, Any]]:
    """Return the networks of the left region by id, without the counts of addresses in use."""
    ec2 = api.client("ec2", REGIONS[0])
    resources: dict[str, dict[str, Any]] = {
        **{each["VpcId"]: each for each in ec2.describe_vpcs()["Vpcs"]},
        **{each["SubnetId"]: each for each in ec2.describe_subnets()["Subnets"]},
        **{each["RouteTableId"]: each for each in ec2.describe_route_tables()["RouteTables"]},
        **{each["InternetGatewayId"]: each for each in ec2.describe_internet_gateways()["InternetGateways"]},
        **{each["NetworkAclId"]: each for each in ec2.describe_network_acls()["NetworkAcls"]},
        **{each["GroupId"]: each for each in ec2.describe_security_groups()["SecurityGroups"]},
    }
    for each in resources.values():
        each.pop("AvailableIpAddressCount", None)
        if "Routes" in each:
            each["Routes"] = sorted(
                (route["DestinationCidrBlock"], route.get("NetworkInterfaceId") or route["GatewayId"])
                for route in each["Routes"]
            )
    return resources


def test_every_example_is_run_here(checkout: Path) -> None:
    examples = {each.parent.name for each in (checkout / "examples").glob("*/Pulumi.yaml")}
    assert examples == {*OWN, EXISTING_NETWORK, HUB, NAT}


@pytest.mark.whole
def test_a_project_made_from_the_template_can_be_previewed_after_adding_the_package(
    checkout: Path, api: ApiProcess, engine_environment: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    project = Example.of(folder, engine_environment, api)
    template = checkout / "templates" / "vpn-gateway-pair-python"
    project.run("new", str(template), "--yes", "--name", "mine", "--stack", "test")
    project.run("package", "add", str(checkout / "components"))
    project.cli("config", "set", "verify", "false")
    assert "name: mine" in (folder / "Pulumi.yaml").read_text()
    preview = project.run("preview")
    assert "vpn-gateway-pair:index:VpnGatewayPair" in preview
    assert "error" not in preview


def test_the_plugin_serves_the_committed_schema(
    checkout: Path, engine_environment: dict[str, str], api: ApiProcess
) -> None:
    folder = checkout.with_name(f"{checkout.name}-schema")
    folder.mkdir()
    output = Example.of(folder, engine_environment, api).cli("package", "get-schema", str(checkout / "components"))
    # Text about the plugin's installation comes first, if this is the first test that uses the plugin.
    served = json.loads(output[output.index("{\n") :])
    committed = json.loads((checkout / "components" / "schema.json").read_text())
    for kind in ("resources", "types"):
        assert without_empty(served[kind]) == without_empty(committed[kind])


def without_empty(value: Any) -> Any:
    """Return a schema without the values that the engine leaves out when it prints one: false, null and empty ones."""
    if isinstance(value, dict):
        return {key: without_empty(each) for key, each in value.items() if each not in (False, None, [], {})}
    return value
