"""After a failed `up` of a deployed pair, `up` again, `up` with the old arguments, and `destroy` all succeed.

Every operation runs in this one process, as in a program that uses the Automation API. Proves what the engine and the
component do when AWS refuses calls in the middle of a change. Does not prove what a Ctrl-C does (test_program.py).
There is nothing to clean up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pulumi import automation

from tests.engine.api_process import ApiProcess, running_api
from tests.engine.changes import BASE, PSK
from tests.engine.inline_stack import InlineStack
from tests.engine.previews import preview, update
from tests.engine.released import PLUGINS, aws_environment

pytestmark = pytest.mark.engine

CAPACITY = {"action": "RunInstances", "code": "InsufficientInstanceCapacity"}
ANOTHER_KEY = {**BASE, "psk": PSK}
ANOTHER_ZONE = {**BASE, "left": {**BASE["left"], "availability_zones": ["eu-west-2c"]}}
ANOTHER_RANGE = {**BASE, "left": {"name": "uk", "region": "eu-west-2", "cidr_block": "10.2.0.0/16"}}


@dataclass
class Stack:
    """The deployed pair of `BASE`."""

    inline: InlineStack
    api: ApiProcess

    def red(self, arguments: Any, **fault: str) -> None:
        """Run `up`, which must fail with the API fault's code."""
        self.api.add_fault(**fault)
        with pytest.raises(automation.CommandError) as caught:
            update(self.inline, arguments)
        assert fault["code"] in str(caught.value)
        assert "Traceback" not in str(caught.value)
        assert self.api.faults() == []

    def green(self, arguments: Any) -> None:
        """Run `up`, after which each resource must exist once, and a preview must plan no change."""
        update(self.inline, arguments)
        assert preview(self.inline, arguments).operations == {}
        living = [each for region in ("eu-west-2", "ap-southeast-2") for each in self.api.left_over(region)]
        kept = {each["id"] for each in self.inline.resources().values() if each.get("id")}
        of_probe_hosts = self._of_probe_hosts()
        assert [each for each in living if each.startswith(("i-", "eni-", "vpc-")) and each not in kept] == [
            each for each in living if each in of_probe_hosts
        ]
        assert len([each for each in living if each.startswith("i-")]) == 3

    def _of_probe_hosts(self) -> set[str]:
        """Return the interfaces that EC2 made for the probe host."""
        ec2 = self.api.client("ec2", "eu-west-2")
        hosts = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["uk-private"]}])["Reservations"]
        return {
            interface["NetworkInterfaceId"]
            for one in hosts
            for instance in one["Instances"]
            for interface in instance["NetworkInterfaces"]
        }


@pytest.fixture(scope="module")
def stack(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yield the pair of `BASE`; each test restores it."""
    with running_api() as api, pytest.MonkeyPatch.context() as patch:
        for name, value in aws_environment(api).items():
            patch.setenv(name, value)
        pair = Stack(InlineStack(tmp_path_factory.mktemp("red") / "stack", PLUGINS), api)
        preview(pair.inline, BASE)
        pair.green(BASE)
        yield pair


@pytest.mark.whole
def test_a_gateway_without_capacity_is_created_by_the_next_up(stack: Stack) -> None:
    stack.red(ANOTHER_KEY, **CAPACITY)
    stack.green(ANOTHER_KEY)
    stack.green(BASE)


@pytest.mark.whole
def test_after_two_failures_the_old_arguments_restore_both_gateways(stack: Stack) -> None:
    for _ in range(2):
        stack.red(ANOTHER_KEY, **CAPACITY, region="eu-west-2")
    stack.green(BASE)


@pytest.mark.whole
@pytest.mark.parametrize("action", ["CreateRoute", "AssociateAddress", "AuthorizeSecurityGroupIngress"])
def test_the_old_arguments_replace_a_half_made_network_by_the_old_one(stack: Stack, action: str) -> None:
    stack.red(ANOTHER_RANGE, action=action, code="UnauthorizedOperation", region="eu-west-2")
    stack.green(BASE)


def test_destroy_after_a_failed_up_leaves_nothing_and_up_creates_everything_again(stack: Stack) -> None:
    stack.red(ANOTHER_ZONE, **CAPACITY, region="eu-west-2")
    stack.inline.destroy()
    assert [each for region in ("eu-west-2", "ap-southeast-2") for each in stack.api.left_over(region)] == []
    stack.green(BASE)
    stack.inline.destroy()
