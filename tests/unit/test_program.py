"""Proves that settings, stack files, program and component agree. Does not run the engine (tests/engine)."""

import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components import VpnGatewayPair
from components.inputs.problems import SettingsError
from components.inputs.settings import pair_settings
from components.inputs.stack_configuration import KEYS, errors_as_configured, pair_arguments
from lab import settings as lab_settings
from tests.unit.gateway_documents import PUBLIC_KEY
from tests.unit.recording import Deployment

ROOT = Path(__file__).resolve().parents[2]
PROJECT = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
NAMESPACE = PROJECT["name"]
DEFAULTS = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
"""Type of a setting -> of its default in Python."""


def stack_values(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / f"Pulumi.{name}.yaml").read_text())
    return {key.removeprefix(f"{NAMESPACE}:"): value for key, value in loaded["config"].items()}


def configure(values: dict[str, Any], secret: tuple[str, ...] = ()) -> pulumi.Config:
    everything = {key: each["default"] for key, each in PROJECT["config"].items()} | values
    # The engine hands every value over as text, structures as JSON.
    flat = {
        f"{NAMESPACE}:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in everything.items()
    }
    pulumi.runtime.set_all_config(flat, [f"{NAMESPACE}:{key}" for key in secret])
    return pulumi.Config(NAMESPACE)


def test_every_argument_is_a_described_setting_with_a_default() -> None:
    assert PROJECT["config"].keys() == {key for key in KEYS.values() if "." not in key}
    assert KEYS["right.existing_network.private_route_table_ids"] == "rightExistingNetwork.privateRouteTableIds"
    for key, declared in PROJECT["config"].items():
        assert len(declared["description"]) > 20, key
        assert type(declared["default"]) is DEFAULTS[declared["type"]], key


def test_settings_that_only_a_default_provider_reads_are_refused_with_what_to_set_instead() -> None:
    config = configure({"administratorCidrBlocks": ["192.0.2.10/32"]})
    ignored = {"aws:allowedAccountIds": '["123456789012"]', "aws:profile": "production"}
    pulumi.runtime.set_all_config({**pulumi.runtime.config.CONFIG.get(), **ignored})
    with pytest.raises(SettingsError) as refused:
        pair_arguments(config)
    assert [(each.setting, each.remedy) for each in refused.value.problems] == [
        (
            "aws:allowedAccountIds",
            "look for its like in Pulumi.yaml, and remove it by `pulumi config rm aws:allowedAccountIds`",
        ),
        (
            "aws:profile",
            "set leftAwsProfile and rightAwsProfile, and remove it by `pulumi config rm aws:profile`",
        ),
    ]
    assert "production" not in str(refused.value)
    pulumi.runtime.set_all_config({})


@pytest.mark.parametrize("stack", ["dev", "lab"])
def test_a_stack_says_only_what_the_project_declares(stack: str) -> None:
    assert stack_values(stack).keys() <= PROJECT["config"].keys()


@pytest.mark.parametrize("stack", ["dev", "lab"])
def test_a_stack_is_the_articles_pair(deployment: Deployment, stack: str) -> None:
    values = {"administratorCidrBlocks": ["192.0.2.10/32"], **stack_values(stack)}
    settings = pair_settings("vpn", pair_arguments(configure(values)))
    found = [
        (each.name, str(each.cidr_block), str(each.gateway_private_ip), str(each.probe_host_private_ip))
        for each in (settings.left, settings.right)
    ]
    assert found == [
        ("uk", "10.1.0.0/16", "10.1.1.254", "10.1.10.41"),
        ("au", "172.31.0.0/16", "172.31.12.198", "172.31.200.200"),
    ]
    assert (settings.left_placement.region, settings.right_placement.region) == ("eu-west-2", "ap-southeast-2")


def test_the_labs_stack_admits_the_labs_administrator() -> None:
    assert stack_values("lab")["administratorCidrBlocks"] == [f"{lab_settings.ADMINISTRATOR}/32"]


def test_the_defaults_alone_lack_only_an_administrator(deployment: Deployment) -> None:
    with pytest.raises(SettingsError) as caught:
        pair_settings("vpn", pair_arguments(configure({})))
    assert [problem.setting for problem in caught.value.problems] == ["verify"]


def test_every_problem_is_told_at_once_by_the_names_of_the_stack_file(deployment: Deployment) -> None:
    values = {
        "leftHostPublicKey": PUBLIC_KEY,
        "rightCidrBlok": "10.2.0.0/16",
        "rightRegion": "name of a region",
        "psk": "left.name left.name",
    }
    with pytest.raises(SettingsError) as caught:
        pair_arguments(configure(values))
    told = [str(problem) for problem in caught.value.problems]
    for problem, start in zip(
        told,
        (
            "rightCidrBlok '…': is not a setting of this project; use one of Pulumi.yaml, e.g. rightCidrBlock",
            "psk '(secret)': is in clear text",
            "leftHostPrivateKey '(secret)': `leftHostPrivateKey` and `leftHostPublicKey` belong together",
            "rightRegion 'name of a region': does not match",
            "psk '(secret)': has characters",
            "verify 'true': needs SSH, and no `administratorCidrBlocks`",
        ),
        strict=True,
    ):
        assert problem.startswith(start)


def test_an_existing_network_is_an_object_with_the_names_of_the_stack_file(deployment: Deployment) -> None:
    network = {
        "vpcId": "vpc-0123456789abcdef0",
        "publicSubnetId": "subnet-0123456789abcdef0",
        "privateRouteTableIds": ["rtb-0123456789abcdef0"],
    }
    values = {
        "administratorCidrBlocks": ["192.0.2.10/32"],
        "leftExistingNetwork": network,
        "leftGatewayPrivateIp": "10.1.1.9",
    }
    assert pair_arguments(configure(values))["left"]["existing_network"] == {
        "vpc_id": "vpc-0123456789abcdef0",
        "public_subnet_id": "subnet-0123456789abcdef0",
        "private_route_table_ids": ["rtb-0123456789abcdef0"],
    }
    wrong = {"leftExistingNetwork": {**network, "vpcId": "vpc", "tableIds": []}, "rightExistingNetwork": network}
    with pytest.raises(SettingsError) as caught, errors_as_configured():
        pair_settings("vpn", pair_arguments(configure({**values, **wrong})))
    told = [str(problem) for problem in caught.value.problems]
    assert [problem.split(":")[0] for problem in told] == [
        "leftExistingNetwork.tableIds '…'",
        "leftExistingNetwork.vpcId 'vpc'",
        "rightGatewayPrivateIp ''",
    ]
    assert "use one of `internetGatewayId`, `privateRouteTableIds`" in told[0]
    assert "is needed with `rightExistingNetwork`" in told[2]


def test_the_program_names_what_the_component_refuses_as_the_stack_file_does(deployment: Deployment) -> None:
    configure({**stack_values("lab"), "leftRootVolumeSize": 0, "rightHostPublicKey": PUBLIC_KEY, "tags": {"Name": "x"}})
    with pytest.raises(SettingsError) as caught:
        deployment.run(lambda: runpy.run_path(str(ROOT / "__main__.py")))
    messages = [str(problem) for problem in caught.value.problems]
    expected = (
        "leftRootVolumeSize '0': is not a number of GiB in range; use 1 to 16384",
        "rightHostPrivateKey '(secret)': `rightHostPrivateKey` and `rightHostPublicKey` belong together; ",
        "tags.Name 'x': is set by the component",
    )
    assert [message.startswith(start) for message, start in zip(messages, expected, strict=True)] == [True] * 3
    assert str(caught.value).startswith("configuration: 3 settings are wrong:")
    assert not deployment.recorder.registrations


def test_a_secret_in_clear_text_is_refused(deployment: Deployment) -> None:
    administrators = {"administratorCidrBlocks": ["192.0.2.10/32"]}
    config = configure({"psk": "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip", **administrators})
    with pytest.raises(SettingsError, match="pulumi config set --secret psk") as caught:
        pair_arguments(config)
    assert "fQ0yS7" not in str(caught.value)
    values = {"psk": "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip", **administrators}
    assert pair_arguments(configure(values, secret=("psk",)))["psk"]


def test_the_program_makes_one_pair_and_exports_its_outputs(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported: dict[str, Any] = {}
    monkeypatch.setattr(pulumi, "export", exported.__setitem__)
    configure(stack_values("lab"))
    recorder = deployment.run(lambda: runpy.run_path(str(ROOT / "__main__.py")))
    assert len(recorder.of_type("vpn-gateway-pair:index:VpnGatewayPair")) == 1
    assert exported.keys() == set(VpnGatewayPair.__annotations__)
