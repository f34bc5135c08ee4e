"""The program of one `VpnGateway`, with and without peers, for tests that change it."""

from collections.abc import Callable
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from components import VpnGateway
from tests.unit.gateway_documents import HOST_KEY, PUBLIC_KEY

REGION: Final = "eu-west-2"

AU: Final = {"name": "au", "public_ip": "203.0.113.1", "private_ip": "172.31.1.9", "cidr_blocks": ["172.31.0.0/16"]}
"""A peer."""

LOGIN: Final = {"ssh_private_key": HOST_KEY, "administrator_cidr_blocks": ["198.18.0.10/32"]}
"""The arguments with which a gateway is changed in place."""


def gateway(name: str, **more: Any) -> Callable[[], None]:
    """Return a program with one gateway, and more arguments than it needs."""

    def declare() -> None:
        provider = aws.Provider("side", region=REGION)
        args: Any = {"name": "uk", "cidr_block": "10.1.0.0/16", "ssh_public_key": PUBLIC_KEY, **more}
        VpnGateway(name, args, pulumi.ResourceOptions(providers={"aws": provider}))

    return declare
