"""Pure decision about the connection by which two gateways prove that they have the same pre-shared key.

An IKEv2 rekey does not authenticate, so a running tunnel does not tell whether the key on the disk is the peer's.
"""

from collections.abc import Mapping
from typing import Final

from .tunnel import connection_name

_OF_THE_TUNNEL: Final = ("ikev2", "ike", "esp", "pfs", "encapsulation", "fragmentation", "narrowing", "leftupdown")
"""Keywords that are as in the tunnel's own connection."""

_SECONDS: Final = "120s"


def key_connection(
    site: str, peer_site: str, public_ip: str, peer_public_ip: str, keywords: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    """Return name and keywords of the connection beside the tunnel, which has these `keywords`.

    Its identities are others than the tunnel's, so Libreswan makes an IKE SA of its own for it. Its ranges are the
    public addresses alone. Elastic IPs are translated outside of the gateways, so no packet on a gateway has them, and
    the policies that the kernel has while the SA stands match nothing: the packet filter sees no packet of it.

    `vpn-verify` ends the SA after each look. If it dies before, the short lifetimes end it: hence no rekey. Libreswan
    5.2 then begins again, until the next look ends it. The connection has no `failureshunt` and no `dpddelay`: it
    protects nothing.

    The name does not begin with the tunnel's, so whoever looks for the tunnel's SAs does not find these.
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
