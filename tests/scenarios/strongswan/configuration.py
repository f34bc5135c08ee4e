"""strongSwan's configuration, and the SAs that it reports. Pure.

Sources: swanctl.conf(5), strongswan.conf(5), and docs.strongswan.org, "Algorithm proposals" and "kernel-libipsec".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from components.decisions.tunnel import End, TunnelProfile

CONNECTION = "strongswan"
"""Name of strongSwan's connection, its Child SA and its secrets."""

PPK_ID: Final = "vpn"
"""Name of the postquantum pre-shared key on both sides (RFC 8784), as the gateway's `vpn-secrets` writes it."""

_Section: TypeAlias = "Mapping[str, str | _Section]"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One proposal for each phase, as strongSwan writes them."""

    ike: str
    esp: str
    ike_version: int = 2
    is_aggressive: bool = False
    """IKEv1 only: aggressive instead of main mode."""
    is_postquantum: bool = True
    """IKEv2 only: whether it insists on the postquantum pre-shared key."""


OFFERS: Final[Mapping[TunnelProfile, Offer]] = MappingProxyType(
    {
        TunnelProfile.MODERN: Offer(ike="aes256gcm16-prfsha512-ecp384", esp="aes256gcm16-ecp384"),
        TunnelProfile.ARTICLE_2014: Offer(ike="aes256-sha1-modp2048", esp="aes256-sha1-modp2048", ike_version=1),
    }
)
"""The offer of a peer that was configured by hand for the profile."""

_STRONG_IKE: Final = OFFERS[TunnelProfile.MODERN].ike
_STRONG_ESP: Final = OFFERS[TunnelProfile.MODERN].esp

WEAK_OFFERS: Final[Mapping[str, Offer]] = MappingProxyType(
    {
        # Each but the last of a group has one weak algorithm. The others are strong.
        "IKE encrypted with 3DES": Offer(ike="3des-sha512-prfsha512-ecp384", esp=_STRONG_ESP),
        "IKE authenticated with MD5": Offer(ike="aes256-md5-prfsha512-ecp384", esp=_STRONG_ESP),
        "IKE authenticated with SHA-1": Offer(ike="aes256-sha1-prfsha512-ecp384", esp=_STRONG_ESP),
        "keys derived with MD5": Offer(ike="aes256gcm16-prfmd5-ecp384", esp=_STRONG_ESP),
        "keys derived with SHA-1": Offer(ike="aes256gcm16-prfsha1-ecp384", esp=_STRONG_ESP),
        "MODP-768": Offer(ike="aes256gcm16-prfsha512-modp768", esp=_STRONG_ESP),
        "MODP-1024": Offer(ike="aes256gcm16-prfsha512-modp1024", esp=_STRONG_ESP),
        "MODP-1536": Offer(ike="aes256gcm16-prfsha512-modp1536", esp=_STRONG_ESP),
        "IKE weak in all": Offer(ike="3des-md5-modp1024", esp="3des-md5-modp1024"),
        "ESP encrypted with 3DES": Offer(ike=_STRONG_IKE, esp="3des-sha512-ecp384"),
        "ESP authenticated with MD5": Offer(ike=_STRONG_IKE, esp="aes256-md5-ecp384"),
        "ESP authenticated with SHA-1": Offer(ike=_STRONG_IKE, esp="aes256-sha1-ecp384"),
        "ESP that encrypts nothing": Offer(ike=_STRONG_IKE, esp="null-sha512-ecp384"),
        "ESP weak in all": Offer(ike=_STRONG_IKE, esp="3des-md5-modp1024"),
        "IKEv1 as in 2014": OFFERS[TunnelProfile.ARTICLE_2014],
        "IKEv1 with modern algorithms": Offer(ike="aes256-sha512-ecp384", esp="aes256-sha512-ecp384", ike_version=1),
        "IKEv1 in aggressive mode": Offer(
            ike="3des-md5-modp1024", esp="3des-md5-modp1024", ike_version=1, is_aggressive=True
        ),
    }
)
"""Weakness -> an offer that a gateway of profile `modern` has to refuse."""

WEAKER_THAN_THE_ARTICLE: Final[Mapping[str, Offer]] = MappingProxyType(
    {
        "3DES": Offer(ike="3des-sha1-modp2048", esp="3des-sha1-modp2048", ike_version=1),
        "MD5": Offer(ike="aes256-md5-modp2048", esp="aes256-md5-modp2048", ike_version=1),
        "MODP-1024": Offer(ike="aes256-sha1-modp1024", esp="aes256-sha1-modp1024", ike_version=1),
        "aggressive mode": replace(OFFERS[TunnelProfile.ARTICLE_2014], is_aggressive=True),
    }
)
"""Weakness -> an offer that even a gateway of profile `article-2014` has to refuse."""


@dataclass(frozen=True)
class Association:
    """An IKE SA with its newest Child SA, as `swanctl --list-sas` shows them."""

    state: str
    """ESTABLISHED, CONNECTING and so on."""
    is_initiator: bool
    """Whether strongSwan began it."""
    ike_version: int
    ike_algorithms: str
    """`AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384`; empty before there are any."""
    esp_algorithms: str = ""
    """`AES_GCM_16-256/ECP_384`, with a group only after a separate key exchange; empty without Child SA."""
    spi: str = ""
    """The inbound SPI. It changes with a rekey."""
    bytes_in: int = 0
    bytes_out: int = 0


def strongswan_conf() -> str:
    """Return the daemon's settings: its plugins in order, ESP in user space before the kernel's."""
    plugins = "random nonce openssl kdf kernel-libipsec kernel-netlink socket-default vici"
    log = {"stderr": {"default": "1"}}
    daemon: _Section = {"load_modular": "no", "load": plugins, "retransmit_tries": "3", "filelog": log}
    return _render({"charon": daemon, "swanctl": {"load": "openssl"}})


def secrets_conf(local: End, remote: End, psk: str, ppk: str | None) -> str:
    """Return the pre-shared keys of two identities. In hex, so that no character of them needs quoting."""
    secrets: dict[str, _Section] = {
        f"ike-{CONNECTION}": {"id-1": local.public_ip, "id-2": remote.public_ip, "secret": f"0x{psk.encode().hex()}"}
    }
    if ppk is not None:
        secrets[f"ppk-{CONNECTION}"] = {"id-1": PPK_ID, "secret": f"0x{ppk.encode().hex()}"}
    return _render({"secrets": secrets})


def connection_conf(local: End, remote: End, offer: Offer) -> str:
    """Return the connection of the peer at `local`. `offer` is the only proposal that it makes and accepts."""
    child: _Section = {
        "local_ts": ",".join(local.cidr_blocks),
        "remote_ts": ",".join(remote.cidr_blocks),
        "esp_proposals": offer.esp,
    }
    connection: _Section = {
        "version": str(offer.ike_version),
        "aggressive": "yes" if offer.is_aggressive else "no",
        "local_addrs": local.public_ip,
        "remote_addrs": remote.public_ip,
        "proposals": offer.ike,
        "encap": "yes",
        "mobike": "no",
        "local": {"auth": "psk", "id": local.public_ip},
        "remote": {"auth": "psk", "id": remote.public_ip},
        "children": {CONNECTION: child},
    }
    if offer.ike_version > 1 and offer.is_postquantum:
        connection = {**connection, "ppk_id": PPK_ID, "ppk_required": "yes"}
    return _render({"connections": {CONNECTION: connection}})


def associations(text: str) -> list[Association]:
    """Return the IKE SAs of `swanctl --list-sas`.

    IKE SAs that the gateway has begun and that belong to no connection yet (`(unnamed)`) are left out.
    """
    blocks = re.split(r"^(?=\S+: #)", text, flags=re.M)
    return [_association(block) for block in blocks if block.startswith(f"{CONNECTION}: ")]


def _association(block: str) -> Association:
    # The star marks strongSwan's own SPI. The initiator's SPI comes first.
    state, version, star = _found(rf"{CONNECTION}: #\d+, (\w+), IKEv(\d), \w+_i(\*?) ", block)
    (ike,) = _found(r"^  ([A-Z0-9_-]+/[A-Z0-9_/-]+)$", block) or ("",)
    # Of several the newest comes last.
    child = re.split(rf"^  (?={CONNECTION}: )", block, flags=re.M)[-1]
    (esp,) = _found(r"INSTALLED, TUNNEL\S*, ESP:(\S+)", child) or ("",)
    (spi, inward), (_, outward) = (
        _found(rf"^    {way} +(\w+)[^,]*, +(\d+) bytes", child) or ("", "0") for way in ("in", "out")
    )
    return Association(state, star == "*", int(version), ike, esp, spi, int(inward), int(outward))


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text, re.M)
    return match.groups() if match else ()


def _render(section: _Section, indent: str = "") -> str:
    lines = []
    for key, value in section.items():
        if isinstance(value, str):
            lines.append(f"{indent}{key} = {value}\n")
        else:
            lines.append(f"{indent}{key} {{\n{_render(value, indent + '  ')}{indent}}}\n")
    return "".join(lines)
