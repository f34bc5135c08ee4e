"""Pure decisions about the IPsec tunnel: profiles as data, and the connection of each side.

The keywords of ipsec.conf(5) used here are those that both Libreswan 4.10 (Debian 12) and 5.2 (Debian 13) accept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from itertools import product
from types import MappingProxyType
from typing import Final

TUNNEL_MTU: Final = 1400
"""Route MTU inside the tunnel, in bytes: with it, every profile's ESP in UDP fits into a 1500-byte path."""

TCP_MSS: Final = TUNNEL_MTU - 20 - 20
"""MSS of TCP through the tunnel, in bytes: the tunnel's MTU without the inner IPv4 and TCP headers."""


class TunnelProfile(Enum):
    """How the tunnel is negotiated and encrypted."""

    MODERN = "modern"
    """IKEv2, AES-256-GCM, SHA2-512, ECP-384 or ECP-256, perfect forward secrecy."""
    ARTICLE_2014 = "article-2014"
    """IKEv1, AES-256-CBC, SHA-1, MODP-2048, as in the article of 2014: weak; for peers without anything better."""


@dataclass(frozen=True, kw_only=True)
class EspOverhead:
    """Sizes that ESP adds to a packet, in bytes (RFC 4303, RFC 4106)."""

    block: int
    initialization_vector: int
    integrity_check: int


@dataclass(frozen=True, kw_only=True)
class ProfileData:
    """A profile's keywords, and the values that the established tunnel must report."""

    ike_version: int
    ike_algorithm: str
    """Beginning of the algorithms that Libreswan reports for an established IKE SA."""
    esp_algorithm: str
    config_setup: Mapping[str, str]
    keywords: Mapping[str, str]
    esp_overhead: EspOverhead
    weaknesses: str | None = None
    """What the component warns users of this profile about."""


_COMMON: Final = {
    "pfs": "yes",
    "encapsulation": "yes",  # an EIP is 1:1 NAT, and security groups then need no protocol 50
    "fragmentation": "no",  # CVE-2026-12413; with a PSK every IKE message is small
    "failureshunt": "drop",
    "ikelifetime": "8h",
    "salifetime": "1h",
    "replay-window": "1024",
    # The default script runs ip(8) a dozen times at every change while pluto waits. Our route exists from boot on.
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
                "narrowing": "no",  # not in the other profile: with IKEv1, 5.2 refuses any connection that has it
                "dpddelay": "15",
                "retransmit-timeout": "30s",
            },
            esp_overhead=EspOverhead(block=4, initialization_vector=8, integrity_check=16),
        ),
        TunnelProfile.ARTICLE_2014: ProfileData(
            ike_version=1,
            ike_algorithm="AES_CBC_256-HMAC_SHA1-MODP2048",
            esp_algorithm="AES_CBC_256-HMAC_SHA1_96",
            # Debian's build drops IKEv1 unless it is accepted here. Without `ikev2=no`, the tunnel silently uses IKEv2.
            config_setup={"ikev1-policy": "accept"},
            keywords={
                "ikev2": "no",
                "ike": "aes256-sha1;modp2048",
                "esp": "aes256-sha1;modp2048",
                **_COMMON,
                "retransmit-timeout": "30s",
            },
            esp_overhead=EspOverhead(block=16, initialization_vector=16, integrity_check=12),
            weaknesses="IKEv1 (RFC 9395: deprecated) with SHA-1; anyone who guesses the pre-shared key can read it all",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class End:
    """One end of a tunnel. Both gateways must have the same values."""

    site: str
    public_ip: str
    """The address that IKE uses for this gateway, e.g. its EIP, and its IKE identity."""
    private_ip: str
    """The address on the gateway's own interface, behind the EIP; in one of `cidr_blocks`. Empty: unknown, which only a
    peer's may be.
    """
    cidr_blocks: tuple[str, ...]
    """The ranges that are reached through the tunnel at this end."""


@dataclass(frozen=True, kw_only=True)
class ConnectionDecision:
    """The connection to one peer: sections of ipsec.conf(5), and the profile that its established tunnel must match."""

    name: str
    sections: Mapping[str, Mapping[str, str]]
    """Name of each `conn` -> its keywords, in the order of the file. See `connect`."""
    peer: End
    profile: ProfileData = field(repr=False)


def tunnel_keywords(profile: TunnelProfile, *, postquantum: bool) -> Mapping[str, str]:
    """Return the keywords of a profile; with `postquantum`, those of a tunnel that insists on a PPK (RFC 8784)."""
    return {**({"ppk": "insist"} if postquantum else {}), **PROFILES[profile].keywords}


def connection_name(site: str, peer_site: str) -> str:
    """Return the connection's name on the gateway of `site`, spelled as in the article: `uk-to-au`."""
    return f"{site}-to-{peer_site}"


def connect(local: End, peer: End, profile: TunnelProfile, *, postquantum: bool) -> ConnectionDecision:
    """Return the connection of the gateway at `local` to `peer`.

    With `postquantum`, it refuses a peer without the postquantum pre-shared key (PPK, RFC 8784). IKEv1 has none.

    Each pair of a local range and a peer's range has its own `conn`, so a new range changes no existing `conn`.
    The pair with both gateways' addresses comes first and has the connection's name: `uk-to-au`. The echoes of the
    watch belong to it. For a peer whose address is unknown, its first range is taken. The other pairs have their ranges
    in the name, `uk-to-au/10.1.0.0/16=10.20.0.0/16`, and one alias, `uk-to-au/others`. The keywords that all pairs
    share are in `uk-to-au/common`, which Libreswan does not load, because it has no `auto`.

    Mirror property: the left side of `connect(a, b)` equals the right side of `connect(b, a)`, and the other way round.
    Everything else is the same on both.
    """
    name = connection_name(local.site, peer.site)
    base, *others = _pairs(local, peer)
    keywords = {
        "authby": "secret",
        "auto": "ondemand",  # installs its policies at once: `auto=start` has none until the peer first answers
        "type": "tunnel",
        "left": "%defaultroute",
        "leftid": local.public_ip,
        "leftsubnet": base[0],
        "right": peer.public_ip,
        "rightid": peer.public_ip,
        "rightsubnet": base[1],
        **tunnel_keywords(profile, postquantum=postquantum),
    }
    sections = _split(name, keywords, others) if others else {name: keywords}
    return ConnectionDecision(name=name, sections=sections, peer=peer, profile=PROFILES[profile])


def _pairs(local: End, peer: End) -> list[tuple[str, str]]:
    """Return all pairs of a local range and a range of the peer; the one with both gateways' addresses comes first."""
    base = _own_range(local), _own_range(peer)
    return [base, *(pair for pair in product(local.cidr_blocks, peer.cidr_blocks) if pair != base)]


def _own_range(end: End) -> str:
    if len(end.cidr_blocks) == 1 or not end.private_ip:
        return end.cidr_blocks[0]
    address = IPv4Address(end.private_ip)
    return next(block for block in end.cidr_blocks if address in IPv4Network(block))


def _split(
    name: str, keywords: Mapping[str, str], others: Sequence[tuple[str, str]]
) -> Mapping[str, Mapping[str, str]]:
    """Return the sections of a connection with `keywords` and `others`, its other pairs of ranges.

    Libreswan refuses a keyword that a section has twice, also when one of them comes from `also`.
    """
    common, alias = f"{name}/common", f"{name}/others"
    of_pair = ("auto", "leftsubnet", "rightsubnet")
    return {
        name: {"also": common, **{key: keywords[key] for key in of_pair}},
        common: {key: value for key, value in keywords.items() if key not in of_pair},
        **{
            # In this order gzip finds the longest repetitions.
            f"{name}/{local}={peer}": {
                "rightsubnet": peer,
                "also": common,
                "auto": keywords["auto"],
                "connalias": alias,
                "leftsubnet": local,
            }
            for local, peer in others
        },
    }


def largest_inner_packet(overhead: EspOverhead, *, path_mtu: int = 1500) -> int:
    """Return the largest packet, in bytes, that ESP in UDP in tunnel mode carries over a path of `path_mtu` bytes.

    Outer IPv4 (20), UDP (8), ESP header (8), then padding to the cipher's block with the two trailer bytes inside.
    """
    encrypted = path_mtu - 20 - 8 - 8 - overhead.initialization_vector - overhead.integrity_check
    return encrypted // overhead.block * overhead.block - 2
