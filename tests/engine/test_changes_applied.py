"""Changes that previews once called harmless, applied and taken back: each ends green, and stays unchanged.

Proves that the engine and the providers' stand-ins go from one set of arguments to another and back, over the lab's
API, which refuses what AWS refuses: also what docs/iam-deployer-policy.json does not allow, because the deployer has
that policy alone. Does not prove how long an outage is (docs/guarantees.md). Nothing to clean up.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components import VpnGateway
from tests.engine.api_process import ApiProcess, running_api
from tests.engine.changes import BASE, CHANGES, KMS_KEY, PSK, Change
from tests.engine.deployer import deployer
from tests.engine.inline_stack import InlineStack
from tests.engine.previews import preview
from tests.engine.released import PLUGINS, aws_environment, program
from tests.unit.gateway_documents import PUBLIC_KEY

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

POLICY = "docs/iam-deployer-policy.json"
REGIONS = ("eu-west-2", "eu-west-1", "ap-southeast-2")
"""Of the pair, and the one that a side moves to."""

ONCE_RED = {
    ("left.name", "another name"),
    ("left.region", "another region"),
    ("left.cidr_block", "another range"),
    ("left.availability_zones", "another zone"),
    ("left.private_subnet_cidr_blocks", "one more at the front"),
    ("left.kms_key_arn", "yours"),
}
"""Argument and change, as in docs/changes.md."""

APPLIED = [change for change in CHANGES if (change.argument, change.what) in ONCE_RED]


@pytest.fixture(scope="module")
def api() -> Iterator[ApiProcess]:
    with running_api() as running:
        yield running


@pytest.fixture(scope="module")
def base(
    api: ApiProcess, engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InlineStack]:
    """Give the pair of the table, up; each test leaves it so."""
    with deployer(api, POLICY, REGIONS) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        stack = InlineStack(tmp_path_factory.mktemp("applied") / "stack", PLUGINS)
        stack.up(program(BASE))
        yield stack
        stack.destroy()
    assert [each for region in REGIONS for each in api.left_over(region)] == []


def test_all_that_were_red_are_here() -> None:
    assert {(change.argument, change.what) for change in APPLIED} == ONCE_RED


@pytest.mark.parametrize("change", APPLIED, ids=lambda change: f"{change.argument}: {change.what}")
def test_a_change_is_made_stays_and_is_taken_back(base: InlineStack, change: Change) -> None:
    for arguments in (change.arguments({}), BASE):
        base.up(program(arguments))
        assert preview(base, arguments).operations == {}


def test_a_parameter_goes_back_under_awss_own_key_when_yours_is_taken_away(base: InlineStack, api: ApiProcess) -> None:
    def keys() -> set[str]:
        found = api.client("ssm", "eu-west-2").describe_parameters()["Parameters"]
        return {each["KeyId"] for each in found}

    (change,) = [change for change in APPLIED if change.argument == "left.kms_key_arn"]
    base.up(program(change.arguments({})))
    assert keys() == {KMS_KEY}
    base.up(program(BASE))
    assert keys() == {"alias/aws/ssm"}


AU = {"name": "au", "public_ip": "203.0.113.1", "private_ip": "172.31.1.9", "cidr_blocks": ["172.31.0.0/16"]}
US = {"name": "us", "public_ip": "203.0.113.2", "private_ip": "172.30.1.9", "cidr_blocks": ["172.30.0.0/16"]}


def gateway(*peers: dict[str, Any]) -> Callable[[], None]:
    """Return a program with one gateway that has these peers."""

    def declare() -> None:
        provider = aws.Provider("side", region="eu-west-2")
        args: Any = {
            "name": "uk",
            "cidr_block": "10.1.0.0/16",
            "psk": PSK,
            "ssh_public_key": PUBLIC_KEY,
            "peers": peers,
        }
        VpnGateway("site", args, pulumi.ResourceOptions(providers={"aws": provider}))

    return declare


def test_a_peer_of_a_gateway_is_renamed_added_and_taken_out(
    api: ApiProcess, engine_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws_environment(api).items():
        monkeypatch.setenv(name, value)
    stack = InlineStack(tmp_path / "stack", PLUGINS)
    for peers in ([AU], [{**AU, "name": "sydney"}], [US, {**AU, "name": "sydney"}], [US], [{**US, **AU}]):
        stack.up(gateway(*peers))
        assert stack.preview(gateway(*peers)).change_summary.keys() == {"same"}
    stack.destroy()
