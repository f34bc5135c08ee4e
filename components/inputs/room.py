"""Checks, before any address is known, that a gateway's user data will not be larger than EC2 takes.

tests/unit/test_user_data.py renders the largest user data that these limits allow.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Final

from ..decisions.addressing import common
from .reader import Reader
from .site import SiteSettings

MOST_PEERS: Final = 6
MOST_RANGES: Final = 16
"""At the site and at all its peers together. The packet filter names each range about ten times."""
MOST_INNER_ADMINISTRATORS: Final = 12


def inner_administrators(
    site: SiteSettings, peer_ranges: Iterable[IPv4Network], administrators: Iterable[IPv4Network]
) -> tuple[IPv4Network, ...]:
    """Return the part of the site and of the peers' ranges that may reach the gateway by SSH.

    Security groups cannot tell these administrators from other hosts: they do not see inside the tunnel, and they admit
    the whole site because its traffic is forwarded. So the gateway's packet filter decides about them, and a change
    replaces the gateway. The security group decides about all other administrators and is changed in place.
    """
    return common([*site.cidr_blocks, *peer_ranges], administrators)


def check_room(
    reader: Reader,
    site: SiteSettings,
    peers: Mapping[str, Sequence[IPv4Network]],
    administrators: Sequence[IPv4Network],
    *,
    ranges: str,
) -> None:
    """Check the number of peers, ranges and administrators.

    `peers` is the ranges of each peer, by its name. `ranges` names the settings that make the ranges.
    """
    peer_ranges = [each for ranges_of_peer in peers.values() for each in ranges_of_peer]
    if len(peers) > MOST_PEERS:
        rule = f"are more than the {MOST_PEERS} peers for which a gateway's user data has room"
        reader.report("peers", f"{len(peers)} peers", rule, "use another VpnGateway for the others")
    here, there = max(len(site.cidr_blocks), len(site.ranges)), len(peer_ranges)
    if here + there > MOST_RANGES:
        value = f"{here} ranges at {site.name}, {there} at {', '.join(peers)}"
        rule = f"are more than the {MOST_RANGES} ranges for which a gateway's user data has room"
        reader.report(ranges, value, rule, "use fewer or larger ranges, or exclude larger, aligned ones")
    inner = inner_administrators(site, peer_ranges, administrators)
    if len(inner) > MOST_INNER_ADMINISTRATORS:
        rule = f"are more than the {MOST_INNER_ADMINISTRATORS} for which a gateway's user data has room"
        value = f"{len(inner)} ranges inside the networks of {site.name} and its peers"
        reader.report("administrator_cidr_blocks", value, rule, "use fewer, larger ranges")
