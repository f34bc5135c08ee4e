"""Pure decisions about the IPsec tunnel: profiles as data, and the connection of each side.

Keywords are those of ipsec.conf(5) that Libreswan 4.10 (Debian 12) and 5.2 (Debian 13) both accept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from types import MappingProxyType
from typing import Final

TUNNEL_MTU: Final = 1400
"""Route MTU inside the tunnel, bytes: every profile's ESP in UDP then fits into a 1500-byte path."""

TCP_MSS: Final = TUNNEL_MTU - 20 - 20
"""Clamp for TCP through the tunnel, bytes: the tunnel's MTU without the inner IPv4 and TCP headers."""


class TunnelProfile(Enum):
    """How the tunnel is negotiated and encrypted."""

    MODERN = "modern"
    """IKEv2, AES-256-GCM, SHA2-512, ECP-384 or ECP-256, perfect forward secrecy."""
    ARTICLE_2014 = "article-2014"
    """IKEv1, AES-256-CBC, SHA-1, MODP-2048, as in the article of 2014: weak, for peers that know nothing better."""


@dataclass(frozen=True, kw_only=True)
class EspOverhead:
    """Sizes that decide how much of a packet is left for what it carries, in bytes (RFC 4303, RFC 4106)."""

    block: int
    initialization_vector: int
    integrity_check: int


@dataclass(frozen=True, kw_only=True)
class ProfileData:
    """What a profile means, as keywords and as what the established tunnel must then report."""

    ike_version: int
    ike_algorithm: str
    """How Libreswan's name of an established IKE SA's algorithms begins."""
    esp_algorithm: str
    config_setup: Mapping[str, str]
    keywords: Mapping[str, str]
    esp_overhead: EspOverhead
    weaknesses: str | None = None
    """What a user of this profile is to be warned of."""


_COMMON: Final = {
    "pfs": "yes",
    "encapsulation": "yes",  # an EIP is 1:1 NAT, and security groups then need no protocol 50
    "fragmentation": "no",  # CVE-2026-12413; with a PSK every IKE message is small
    "failureshunt": "drop",
    "ikelifetime": "8h",
    "salifetime": "1h",
    "replay-window": "1024",
    # The default asks ip(8) a dozen times at every change, and pluto waits; our route is there at boot.
    "leftupdown": "%disabled",
}

PROFILES: Final[Mapping[TunnelProfile, ProfileData]] = MappingProxyType(
    {
        TunnelProfile.MODERN: ProfileData(
            ike_version=2,
            ike_algorithm="AES_GCM_16_256-HMAC_SHA2_512",
            esp_algorithm="AES_GCM_16_256-NONE",
            config_setup={"ikev1-policy": "drop"},
            keywords={
                "ikev2": "yes",
                "ike": "aes_gcm256-sha2_512-dh20+dh19",
                "esp": "aes_gcm256-none-dh20+dh19",
                **_COMMON,
                "narrowing": "no",  # with IKEv1, 5.2 refuses the connection for naming it at all
                "dpddelay": "15",
                "retransmit-timeout": "30s",
            },
            esp_overhead=EspOverhead(block=4, initialization_vector=8, integrity_check=16),
        ),
        TunnelProfile.ARTICLE_2014: ProfileData(
            ike_version=1,
            ike_algorithm="AES_CBC_256-HMAC_SHA1-MODP2048",
            esp_algorithm="AES_CBC_256-HMAC_SHA1_96",
            # Without the first, Debian's build drops IKEv1; without `ikev2=no` the tunnel silently comes up as IKEv2.
            config_setup={"ikev1-policy": "accept"},
            keywords={
                "ikev2": "no",
                "ike": "aes256-sha1;modp2048",
                "esp": "aes256-sha1;modp2048",
                **_COMMON,
                "retransmit-timeout": "30s",
            },
            esp_overhead=EspOverhead(block=16, initialization_vector=16, integrity_check=12),
            weaknesses="IKEv1 (RFC 9395: deprecated) with SHA-1; whoever guesses the pre-shared key can read it all",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a tunnel, as both gateways must agree on it."""

    site: str
    public_ip: str
    """The EIP: where IKE finds this gateway, and its IKE identity."""
    private_ip: str
    """The address on the gateway's own interface, behind the EIP; in one of `cidr_blocks`."""
    cidr_blocks: tuple[str, ...]
    """What is reached through the tunnel at this end."""


@dataclass(frozen=True, kw_only=True)
class ConnectionDecision:
    """One `conn` of ipsec.conf(5) and what its established tunnel must be."""

    name: str
    keywords: Mapping[str, str]
    peer: End
    pair_of_addresses: str
    """Name of the pair of ranges that both ends' private addresses are in, after the connection's: see `_pair_name`."""
    profile: ProfileData = field(repr=False)


def connection_name(site: str, peer_site: str) -> str:
    """Return the connection's name on the gateway of `site`, spelled as in the article: `uk-to-au`."""
    return f"{site}-to-{peer_site}"


def connect(local: End, peer: End, profile: TunnelProfile) -> ConnectionDecision:
    """Return the connection that the gateway at `local` holds towards `peer`.

    Mirror property: what `connect(a, b)` says about its left side, `connect(b, a)` says about its right, and the other
    way round; everything else is the same on both.
    """
    data = PROFILES[profile]
    keywords = {
        "authby": "secret",
        "auto": "ondemand",  # traps from the first moment: `auto=start` has no policy until the peer first answers
        "type": "tunnel",
        "left": "%defaultroute",
        "leftid": local.public_ip,
        **_subnets("left", local.cidr_blocks),
        "right": peer.public_ip,
        "rightid": peer.public_ip,
        **_subnets("right", peer.cidr_blocks),
        **data.keywords,
    }
    return ConnectionDecision(
        name=connection_name(local.site, peer.site),
        keywords=keywords,
        peer=peer,
        pair_of_addresses=_pair_name(local, peer),
        profile=data,
    )


def _subnets(side: str, cidr_blocks: Sequence[str]) -> dict[str, str]:
    # A list in `leftsubnet` is one SA from Libreswan 5.0 only; `leftsubnets` makes an SA per pair in all versions.
    if len(cidr_blocks) == 1:
        return {f"{side}subnet": cidr_blocks[0]}
    return {f"{side}subnets": "{" + ",".join(cidr_blocks) + "}"}


def _pair_name(local: End, peer: End) -> str:
    """Return `/1x2` for the first range here and the second there: so Libreswan names what it makes of `leftsubnets`.

    A side with one range counts as 0; where both have one, there is no such name.
    """
    here, there = (_number(end) for end in (local, peer))
    return f"/{here}x{there}" if here or there else ""


def _number(end: End) -> int:
    if len(end.cidr_blocks) == 1:
        return 0
    address = IPv4Address(end.private_ip)
    return 1 + next(n for n, block in enumerate(end.cidr_blocks) if address in IPv4Network(block))


def largest_inner_packet(overhead: EspOverhead, *, path_mtu: int = 1500) -> int:
    """Return the largest packet, in bytes, that ESP in UDP in tunnel mode carries over a path of `path_mtu` bytes.

    Outer IPv4 (20), UDP (8), ESP header (8), then padding to the cipher's block with the two trailer bytes inside.
    """
    encrypted = path_mtu - 20 - 8 - 8 - overhead.initialization_vector - overhead.integrity_check
    return encrypted // overhead.block * overhead.block - 2
