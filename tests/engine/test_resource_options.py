"""A component's resource options with the real engine: they apply to all resources in the component.

Proves parent, protect, retain_on_delete, transforms, depends_on and aliases for `VpnGateway`, as for any component.
Runs without machines. There is nothing to clean up.
"""

from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_random as random
import pytest

from components import VpnGateway, VpnGatewayArgs
from tests.engine.api_process import ApiProcess
from tests.engine.inline_stack import InlineStack

pytestmark = pytest.mark.engine

LEFT = "eu-west-2"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test"
PEER: Any = {"name": "au", "public_ip": "192.0.2.1", "private_ip": "172.31.12.198", "cidr_blocks": ["172.31.0.0/16"]}


@pytest.fixture
def stack(aws_environment: dict[str, str], tmp_path: Path) -> InlineStack:
    return InlineStack(tmp_path / "stack", ["aws", "random", "tls", "command"])


class Office(pulumi.ComponentResource):
    """A caller's component that contains a gateway."""

    def __init__(self, name: str) -> None:
        super().__init__("test:index:Office", name)


def gateway(name: str, **options: Any) -> VpnGateway:
    args: dict[str, Any] = {"name": "uk", "cidr_block": "10.1.0.0/16", "peers": [PEER], "secret_delivery": "user-data"}
    args |= {"psk": pulumi.Output.secret("fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip"), "ssh_public_key": PUBLIC_KEY}
    provider = aws.Provider("uk", region=LEFT)
    return VpnGateway(
        name, cast("VpnGatewayArgs", args), pulumi.ResourceOptions(providers={"aws": provider}, **options)
    )


def tagged(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    """Replace the tags of every VPC, as a caller's transform may."""
    if args.type_ != "aws:ec2/vpc:Vpc":
        return None
    return pulumi.ResourceTransformResult({**args.props, "tags": {"by": "transform"}}, args.opts)


def test_the_components_options_apply_to_all_its_resources(stack: InlineStack, api: ApiProcess) -> None:
    def program() -> None:
        needed = random.RandomPassword("needed", length=8)
        gateway(
            "site",
            parent=Office("office"),
            protect=True,
            retain_on_delete=True,
            transforms=[tagged],
            depends_on=[needed],
        )

    def renamed() -> None:
        needed = random.RandomPassword("needed", length=8)
        gateway(
            "branch",
            parent=Office("office"),
            transforms=[tagged],
            depends_on=[needed],
            aliases=[pulumi.Alias(name="site")],
        )

    order: list[str] = []

    def record(event: Any) -> None:
        if event.res_outputs_event is not None:
            order.append(event.res_outputs_event.metadata.urn.rpartition("::")[2])

    stack.up(program, on_event=record)
    assert order.index("needed") < min(order.index(name) for name in order if name.startswith("site-"))
    resources = stack.resources()
    inside = {name: each for name, each in resources.items() if name.startswith("site-")}
    assert len(inside) > 25
    assert resources["site"]["parent"].endswith("test:index:Office::office")
    for name, each in inside.items():
        assert each["parent"].endswith("VpnGateway::site"), name
        assert each.get("protect") is True, name
        assert each.get("retainOnDelete") is True, name
    assert inside["site-vpc"]["inputs"]["tags"] == {"by": "transform"}

    changes = stack.up(renamed).change_summary
    assert changes.keys() <= {"same", "update"}, stack.output
    assert {each["id"] for each in inside.values() if each["type"] == "aws:ec2/vpc:Vpc"} == {
        each["id"] for each in stack.resources().values() if each["type"] == "aws:ec2/vpc:Vpc"
    }
    stack.destroy()
    assert api.left_over(LEFT) == []
