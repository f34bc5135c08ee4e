"""Pulumi components that join two private networks in two AWS regions through a pair of IPsec gateways."""

from .arguments import PeerArgs, SecretDelivery, SiteArgs, VpnGatewayArgs, VpnGatewayPairArgs
from .reader import SettingsError
from .tunnel import TunnelProfile
from .vpn_gateway import SiteOutputs, VpnGateway
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
