"""The repository's own program with wrong settings on the real engine: it reports all problems and creates nothing.

Proves that the operator sees every problem under the setting's name in the stack file. Does not prove each message
(tests/unit/test_arguments.py, test_program.py). Runs without an API.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.conftest import Cli

ROOT = Path(__file__).resolve().parents[2]
WEAK_PSK = "hunter2hunter2"

BAD = {
    "leftName": "uk",
    "rightName": "uk",
    "leftCidrBlock": "10.1.0.0/16",
    "rightCidrBlock": "10.1.128.0/17",
    "leftPublicSubnetCidrBlock": "10.2.1.0/24",
    "leftPrivateSubnetCidrBlocks": ["10.1.10.0/24", "10.1.10.128/25", "10.1.10.1/24", "10.1.300.0/24"],
    "leftGatewayPrivateIp": "10.1.1.254",
    "rightPublicSubnetCidrBlock": "10.1.128.0/24",
    "rightGatewayPrivateIp": "10.1.128.3",
    "rightProbeHostPrivateIp": "10.1.129.255",
    "leftImage": "debian-11",
    "rightGatewayPrivatIp": "10.1.128.4",
    "profile": "article",
    "secretDelivery": "mail",
    "tags": {"Name": "mine"},
}

EXPECTED = """\
rightGatewayPrivatIp '…': is not a setting of this project; use one of Pulumi.yaml, e.g. rightGatewayPrivateIp
leftImage 'debian-11': is not a known image; use debian-13, debian-12 or ami-…
leftPrivateSubnetCidrBlocks[2] '10.1.10.1/24': is not canonical
leftPrivateSubnetCidrBlocks[3] '10.1.300.0/24': is not a valid IPv4 CIDR block
leftPublicSubnetCidrBlock '10.2.1.0/24': is outside its VPC 10.1.0.0/16
leftPrivateSubnetCidrBlocks[1] '10.1.10.128/25': overlaps `leftPrivateSubnetCidrBlocks[0]` '10.1.10.0/24'
leftGatewayPrivateIp '10.1.1.254': is outside its subnet 10.2.1.0/24
rightGatewayPrivateIp '10.1.128.3': is reserved by AWS
rightProbeHostPrivateIp '10.1.129.255': is reserved by AWS
rightName 'uk': is the name of the left side too
rightCidrBlock '10.1.128.0/17': overlaps `leftCidrBlock` '10.1.0.0/16'
psk '(secret)': is worth
profile 'article': is unknown (known: modern, article-2014)
secretDelivery 'mail': is unknown (known: ssm, user-data)
tags.Name 'mine': is set by the component
verify 'true': needs SSH, and no `administratorCidrBlocks` admit any; give `administratorCidrBlocks` the range"""


@pytest.fixture
def project(pulumi: Cli) -> Cli:
    """Return a stack of the repository's own program with only default settings, in its own folder."""
    for name in ("__main__.py", "components", "userdata"):
        (pulumi.folder / name).symlink_to(ROOT / name)
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    settings["runtime"]["options"] = {"toolchain": "pip", "virtualenv": sys.prefix}
    (pulumi.folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    pulumi("stack", "init", "bad")
    # A closed port: a call of AWS would fail with another error.
    pulumi.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    return pulumi


def _configure(project: Cli, values: dict[str, Any]) -> None:
    file = project.folder / "Pulumi.bad.yaml"
    stack = yaml.safe_load(file.read_text()) if file.exists() else {}
    config = {**stack.get("config", {}), **{f"vpn-gateway-pair:{key}": value for key, value in values.items()}}
    file.write_text(yaml.safe_dump({**stack, "config": config}))


def test_all_problems_are_reported_at_once_with_the_stack_files_names_and_nothing_is_created(project: Cli) -> None:
    project("config", "set", "--secret", "psk", WEAK_PSK)
    _configure(project, BAD)
    for command in (["preview"], ["up", "--yes", "--skip-preview"]):
        output = project(*command, code=1)
        problems = [line.strip().removeprefix("- ") for line in output.splitlines() if line.strip().startswith("- ")]
        for problem, beginning in zip(problems, EXPECTED.splitlines(), strict=True):
            assert problem.startswith(beginning)
        assert all("; " in problem for problem in problems)
        assert f"configuration: {len(problems)} settings are wrong:" in output
        assert WEAK_PSK not in output
        assert "Traceback" not in output
    resources = json.loads(project("stack", "export"))["deployment"].get("resources", [])
    assert [each["type"] for each in resources if each["type"] != "pulumi:pulumi:Stack"] == []


LATE = """
import pulumi
import pulumi_random as random
from components.resources.secrets import checked_keys

late = random.RandomPassword("late", length=9, special=False)
pulumi.Stash("psk", input=checked_keys(late.result, None).psk)
"""
"""A program with a key that is unknown until deployment, so that the settings cannot check it."""


def test_a_weak_psk_that_is_known_only_at_deployment_fails_without_being_shown(project: Cli) -> None:
    (project.folder / "__main__.py").unlink()
    (project.folder / "__main__.py").write_text(LATE)
    output = project("up", "--yes", "--skip-preview", code=1)
    assert re.search(r"psk '\(secret\)': is worth [0-9]+ bits at most, fewer than 128; use the output of", output)
    assert "Traceback" not in output
    resources = json.loads(project("stack", "export", "--show-secrets"))["deployment"]["resources"]
    (secret,) = [each["outputs"]["result"]["plaintext"] for each in resources if each["urn"].endswith("::late")]
    assert len(json.loads(secret)) == 9
    assert json.loads(secret) not in output
    assert not [each for each in resources if each["type"] == "pulumi:index:Stash"]
