"""Checks public addresses that are Outputs once they are known, before a resource gets them."""

from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address

import pulumi

from ..decisions.addressing import parse_address, parse_public_address
from ..decisions.problems import Problem
from .peer import PeerSettings, public_address_problems
from .problems import SettingsError
from .settings import GatewaySettings

_COMPONENT = "VPN gateway"


def checked_public_ips(peers: Sequence[PeerSettings]) -> list[pulumi.Input[str]]:
    """Return the peers' public addresses. An Output raises `SettingsError` when its value is none."""
    return [
        str(peer.public_ip)
        if isinstance(peer.public_ip, IPv4Address)
        else peer.public_ip.apply(partial(_checked, f"peers[{number}].public_ip"))
        for number, peer in enumerate(peers)
    ]


def _checked(setting: str, text: str) -> str:
    # The SDK's mocks may have no address.
    address = parse_public_address(setting, text) if isinstance(text, str) else None
    if isinstance(address, Problem):
        raise SettingsError(_COMPONENT, [address])
    return text


def check_public_ips(settings: GatewaySettings, public_ip: str, peer_public_ips: Sequence[str]) -> None:
    """Check that no two gateways have the same public address, and that no range contains one."""
    names = ["the gateway's Elastic IP", *(f"public_ip of peer {peer.name}" for peer in settings.peers)]
    parsed = [parse_address("", str(text)) for text in (public_ip, *peer_public_ips)]
    addresses = [(name, each) for name, each in zip(names, parsed, strict=True) if isinstance(each, IPv4Address)]
    ranges = [("a CIDR block of this site,", block) for block in settings.site.cidr_blocks]
    ranges += [(f"cidr_blocks of peer {peer.name}", block) for peer in settings.peers for block in peer.ranges]
    problems = public_address_problems(addresses, ranges)
    if problems:
        raise SettingsError(_COMPONENT, problems)
