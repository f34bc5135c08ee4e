"""Checks, before any address is known, that a gateway's user data will not be larger than EC2 takes.

tests/unit/test_user_data.py renders the largest user data that these limits allow.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Final

from ..decisions.addressing import common
from .arguments import SecretDelivery
from .reader import Reader
from .site import SiteSettings

ROOM: Final = {SecretDelivery.SSM: 70, SecretDelivery.USER_DATA: 56}
"""Number of ranges, at the site and at all its peers, for which the user data has room."""
PEER_ROOM: Final = 5
"""A peer takes as much room as this number of ranges."""
MOST_INNER_ADMINISTRATORS: Final = 16


def inner_administrators(
    site: SiteSettings, peer_ranges: Iterable[IPv4Network], administrators: Iterable[IPv4Network]
) -> tuple[IPv4Network, ...]:
    """Return the part of the site and of the peers' ranges that may reach the gateway by SSH.

    Security groups cannot tell these administrators from other hosts: they do not see inside the tunnel, and they admit
    the whole site because its traffic is forwarded. So the gateway's packet filter decides about them. The security group decides about all other administrators and is changed in place.
    """
    return common([*site.cidr_blocks, *peer_ranges], administrators)


def check_room(
    reader: Reader,
    site: SiteSettings,
    peers: Mapping[str, Sequence[IPv4Network]],
    administrators: Sequence[IPv4Network],
    delivery: SecretDelivery,
    *,
    ranges: str,
) -> None:
    """Check the numbers of peers, ranges and administrators.

    `peers` has the ranges of each peer, by its name. `ranges` names the settings that make the ranges.
    """
    peer_ranges = [each for ranges_of_peer in peers.values() for each in ranges_of_peer]
    here, there = max(len(site.cidr_blocks), len(site.ranges)), len(peer_ranges)
    most = max(ROOM[delivery] - PEER_ROOM * len(peers), 0)
    if here + there > most:
        value = f"{here} ranges at {site.name}, {there} at {', '.join(peers)}"
        rule = (
            f"with {len(peers)} peers and secret_delivery {delivery.value}, a gateway's user data has room for {most} "
            f"ranges; each peer takes the room of {PEER_ROOM}"
        )
        reader.report(
            ranges, value, rule, "use fewer peers, or fewer or larger ranges, or exclude larger, aligned ones"
        )
    inner = inner_administrators(site, peer_ranges, administrators)
    if len(inner) > MOST_INNER_ADMINISTRATORS:
        rule = f"are more than the {MOST_INNER_ADMINISTRATORS} for which a gateway's user data has room"
        value = f"{len(inner)} ranges inside the networks of {site.name} and its peers"
        reader.report("administrator_cidr_blocks", value, rule, "use fewer, larger ranges")
