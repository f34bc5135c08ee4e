"""Pulumi components that join two private networks in two AWS regions through a pair of IPsec gateways."""

import sys

import pulumi

if sys.version_info < (3, 11):  # noqa: UP036 - what is imported below does not exist in older ones
    raise pulumi.RunError(
        f"vpn-gateway-pair needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}: put a newer "
        "python3 first in PATH, remove the project's virtual environment, and run `pulumi install`"
    )

from .decisions.tunnel import TunnelProfile
from .inputs.arguments import PeerArgs, SecretDelivery, SiteArgs, VpnGatewayArgs, VpnGatewayPairArgs
from .inputs.problems import SettingsError
from .outputs import SiteOutputs
from .vpn_gateway import VpnGateway
from .vpn_gateway_pair import VpnGatewayPair

__all__ = [
    "PeerArgs",
    "SecretDelivery",
    "SettingsError",
    "SiteArgs",
    "SiteOutputs",
    "TunnelProfile",
    "VpnGateway",
    "VpnGatewayArgs",
    "VpnGatewayPair",
    "VpnGatewayPairArgs",
]
