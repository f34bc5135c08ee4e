"""Settings and addresses -> the user data of a site's gateway, and whether it will fit before any address is known."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Final

from .decisions.addressing import common
from .decisions.tunnel import End, TunnelProfile, connect
from .gateway_user_data import GivenSecrets, StoredSecrets, gateway_user_data
from .inputs.peer import PeerSettings
from .inputs.psk import GENERATED_PSK_CHARACTERS
from .inputs.site import SiteSettings

_LONGEST_ADDRESS: Final = "255.255.255.255"
_LONG_REGION: Final = "ap-southeast-10"
_LONG_LINE: Final = "ssh-ed25519 " + "A" * 68
_HOST_KEY_CHARACTERS: Final = 420
"""Of an ed25519 key in OpenSSH's format, with a short comment."""
TOO_MANY_RANGES: Final = "use fewer or larger ranges, or fewer peers, or secret_delivery ssm"
_MARGIN: Final = "-" * 24
"""How much the pack varies with the addresses in it, in bytes."""


def inner_administrators(
    site: SiteSettings, peers: Sequence[PeerSettings], administrators: Sequence[IPv4Network]
) -> tuple[str, ...]:
    """Return what of the site and of the peers' ranges may reach the gateway by SSH.

    From there security groups do not say who: they see nothing of what is in the tunnel, and have to admit all of the
    site for what is to be forwarded. So the gateway itself is told, and has to be replaced when it changes. All others
    reach it through the security group, which is exact about them and changed in place.
    """
    inside = [*site.networks, *(network for peer in peers for network in peer.networks)]
    return tuple(map(str, common(inside, administrators)))


def site_user_data(
    site: SiteSettings,
    peers: Sequence[PeerSettings],
    profile: TunnelProfile,
    administrators: Sequence[IPv4Network],
    *,
    public_ip: str,
    peer_public_ips: Sequence[str],
    secrets: StoredSecrets | GivenSecrets,
    host_public_key: str,
) -> str:
    """Return the user data of the gateway at `public_ip`; raises ValueError when it is more than EC2 takes."""
    local = End(
        site=site.name,
        public_ip=public_ip,
        private_ip=str(site.gateway_address),
        cidr_blocks=tuple(map(str, site.tunnelled)),
    )
    remote = [
        End(
            site=peer.name,
            public_ip=peer_public_ip,
            private_ip=str(peer.private_address),
            cidr_blocks=tuple(map(str, peer.networks)),
        )
        for peer, peer_public_ip in zip(peers, peer_public_ips, strict=True)
    ]
    return gateway_user_data(
        hostname=f"{site.name}-gateway",
        local=local,
        site_cidr_blocks=tuple(map(str, site.networks)),
        administrator_cidr_blocks=inner_administrators(site, peers, administrators),
        connections=[connect(local, end, profile) for end in remote],
        secrets=secrets,
        host_public_key=host_public_key,
    )


def overflow(
    resource_name: str,
    site: SiteSettings,
    peers: Sequence[PeerSettings],
    profile: TunnelProfile,
    administrators: Sequence[IPv4Network],
    *,
    psk: str,
    inline: bool,
) -> str | None:
    """Return what is wrong with the size of a gateway's user data, judged by the longest values; None when it fits.

    `psk` is empty when it is not known yet: then it is taken to be as long as a generated one.
    """
    secrets: StoredSecrets | GivenSecrets
    if inline:
        secrets = GivenSecrets(psk=psk or "x" * GENERATED_PSK_CHARACTERS, host_private_key="x" * _HOST_KEY_CHARACTERS)
    else:
        secrets = StoredSecrets(
            endpoint=f"ssm.{_LONG_REGION}.amazonaws.com.cn",
            region=_LONG_REGION,
            psk_parameter=f"{resource_name}-psk-parameter-1234567",
            host_key_parameter=f"{resource_name}-host-key-parameter-1234567",
            revision="1000-1000",
        )
    try:
        site_user_data(
            site,
            peers,
            profile,
            administrators,
            public_ip=_LONGEST_ADDRESS,
            peer_public_ips=[_LONGEST_ADDRESS] * len(peers),
            secrets=secrets,
            host_public_key=_LONG_LINE + _MARGIN,
        )
    except ValueError as error:
        return str(error)
    return None
