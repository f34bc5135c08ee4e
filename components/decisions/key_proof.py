"""Pure decision about the connection by which two gateways prove that they have the same pre-shared key.

An IKEv2 rekey does not authenticate, so a running tunnel does not tell whether the key on the disk is the peer's.
"""

from collections.abc import Mapping
from typing import Final

from .tunnel import connection_name

_OF_THE_TUNNEL: Final = (
    "ppk",
    "ikev2",
    "ike",
    "esp",
    "pfs",
    "encapsulation",
    "fragmentation",
    "narrowing",
    "leftupdown",
)
"""Keywords that are as in the tunnel's own connection."""

_SECONDS: Final = "120s"


def key_connection(
    site: str, peer_site: str, public_ip: str, peer_public_ip: str, keywords: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    """Return name and keywords of the connection beside the tunnel, which has these `keywords`.

    It has different identities from the tunnel, so Libreswan negotiates a separate IKE SA for it. Its ranges are only
    the public addresses. AWS translates Elastic IPs outside the gateways, so no packet on a gateway has these
    addresses. The kernel has policies for them while the SA exists, but no packet matches them.

    `vpn-verify` deletes the SA after each look. If `vpn-verify` dies first, the SA expires soon, because its lifetimes
    are short and it is not rekeyed. Libreswan 5.2 then negotiates it again, until the next look deletes it. The
    connection has no `failureshunt` and no `dpddelay`, because it carries no traffic.

    Its name starts with `key/`, so programs that search for the tunnel's SAs do not find its SAs.
    """
    return f"key/{connection_name(site, peer_site)}", {
        "authby": "secret",
        "auto": "add",
        "type": "tunnel",
        "left": "%defaultroute",
        "leftid": f"@key.{public_ip}",
        "leftsubnet": f"{public_ip}/32",
        "right": peer_public_ip,
        "rightid": f"@key.{peer_public_ip}",
        "rightsubnet": f"{peer_public_ip}/32",
        **{key: keywords[key] for key in _OF_THE_TUNNEL if key in keywords},
        "rekey": "no",
        "ikelifetime": _SECONDS,
        "salifetime": _SECONDS,
        "rekeymargin": "30s",  # Libreswan raises lifetimes that are not longer than twice the margin
        "retransmit-timeout": "10s",
    }
