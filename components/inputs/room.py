"""Checks, before any address is known, that a gateway's user data will not be larger than EC2 takes.

tests/unit/test_user_data.py renders the largest user data that these limits allow.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Final

from ..decisions.addressing import common
from .arguments import SecretDelivery
from .peer import PeerSettings
from .reader import Reader
from .site import SiteSettings

MOST_PEERS_AND_RANGES: Final = {SecretDelivery.SSM: 18, SecretDelivery.USER_DATA: 14}
"""Ranges at the site and at all its peers. The packet filter names each about ten times; a peer takes as much room."""
MOST_INNER_ADMINISTRATORS: Final = 16


def inner_administrators(
    site: SiteSettings, peers: Sequence[PeerSettings], administrators: Sequence[IPv4Network]
) -> tuple[IPv4Network, ...]:
    """Return the part of the site and of the peers' ranges that may reach the gateway by SSH.

    Security groups cannot tell these administrators from other hosts: they do not see inside the tunnel, and they admit
    the whole site because its traffic is forwarded. So the gateway's packet filter decides about them, and a change
    replaces the gateway. The security group decides about all other administrators and is changed in place.
    """
    inside = [*site.networks, *(network for peer in peers for network in peer.networks)]
    return common(inside, administrators)


def check_room(
    reader: Reader,
    site: SiteSettings,
    peers: Sequence[PeerSettings],
    administrators: Sequence[IPv4Network],
    delivery: SecretDelivery,
    *,
    ranges: str,
) -> None:
    """Check the numbers of peers, ranges and administrators; `ranges` names the settings that make the ranges."""
    here, there = max(len(site.networks), len(site.tunnelled)), sum(len(peer.networks) for peer in peers)
    most = MOST_PEERS_AND_RANGES[delivery]
    if len(peers) + here + there > most:
        value = f"{here} ranges at {site.name}, {there} at {', '.join(peer.name for peer in peers)}"
        rule = (
            f"with {len(peers)} peers these are more than the {most} peers and ranges for which a gateway's user data "
            f"has room with secret_delivery {delivery.value}"
        )
        reader.report(
            ranges, value, rule, "use fewer peers, or fewer or larger ranges, or exclude larger, aligned ones"
        )
    inner = inner_administrators(site, peers, administrators)
    if len(inner) > MOST_INNER_ADMINISTRATORS:
        rule = f"are more than the {MOST_INNER_ADMINISTRATORS} for which a gateway's user data has room"
        value = f"{len(inner)} ranges inside the networks of {site.name} and its peers"
        reader.report("administrator_cidr_blocks", value, rule, "use fewer, larger ranges")
