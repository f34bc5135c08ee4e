"""What replaces a gateway's instance, with the names by which the replacement is announced."""

from collections.abc import Sequence
from typing import Final

import pulumi

from .decisions.tunnel import PROFILES
from .inputs.room import inner_administrators
from .inputs.settings import GatewaySettings
from .resources.announcement import LOGIN_KEY, PROGRAM
from .resources.secrets import SshKey
from .user_data import program_digest

_ALONE: Final = "NAT alone"


def replacement_trigger(settings: GatewaySettings, host_key: SshKey) -> pulumi.Output[str]:
    """Return a text whose change replaces the instance. With peers it is that of earlier releases."""
    alone = "" if settings.peers else f" {_ALONE}"
    return pulumi.Output.concat(settings.secret_delivery.value, " ", host_key.public, alone)


def always_replacing(settings: GatewaySettings, host_key: SshKey) -> dict[str, pulumi.Input[str]]:
    """Return the settings that replace the instance whether it can be changed in place or not: name -> value.

    The running gateway has the former host key, so nothing could log in to change it with the new one. And its user
    data would keep the secrets that were delivered by it. The first peer needs Libreswan, which only a boot installs.
    """
    return {
        # With peers there is no such reason, as in earlier releases.
        **({} if settings.peers else {"use (for tunnels, or for NAT alone)": _ALONE}),
        "secret_delivery": settings.secret_delivery.value,
        "SSH host key": host_key.public,
    }


def replacing_otherwise(
    settings: GatewaySettings, login_key: pulumi.Output[str], peer_public_ips: Sequence[pulumi.Input[str]]
) -> dict[str, pulumi.Input[str]]:
    """Return the settings that replace an instance which cannot be changed in place: name in the warning -> value."""
    peers = {
        f"peer {peer.name}": pulumi.Output.concat(public_ip, f" {peer.private_ip} {peer.ranges}")
        for peer, public_ip in zip(settings.peers, peer_public_ips, strict=True)
    }
    return {
        LOGIN_KEY: login_key,
        # The data of a profile may change with a release.
        "profile": f"{settings.profile.value} {PROFILES[settings.profile]}",
        # Secret, because its digest would confirm a guess.
        "psk": pulumi.Output.secret(settings.psk or ""),
        "ppk": pulumi.Output.secret(settings.ppk or ""),
        "cidr_block": str(settings.site.cidr_block),
        "additional_cidr_blocks": str(settings.site.additional_cidr_blocks),
        "excluded_cidr_blocks": str(settings.site.excluded_cidr_blocks),
        "administrator_cidr_blocks": str(
            inner_administrators(settings.site, settings.peer_ranges, settings.administrator_cidr_blocks)
        ),
        # A stack of release 0.1.0 has kept no value for it.
        **({} if settings.site.allocation_id is None else {"allocation_id": settings.site.allocation_id}),
        **peers,
        PROGRAM: program_digest(),
    }
