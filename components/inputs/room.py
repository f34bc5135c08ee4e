"""Checks, before any address is known, that a gateway's user data will not be larger than EC2 takes.

tests/unit/test_user_data_room.py renders the largest user data that these limits allow.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Final

from ..decisions.addressing import common
from .arguments import SecretDelivery
from .reader import Reader
from .site import SiteSettings

ROOM: Final = {SecretDelivery.SSM: 216, SecretDelivery.USER_DATA: 180}
"""Places of the user data. A place is about nine bytes."""
RANGE_PLACES: Final = 2
PEER_PLACES: Final = 10
SEVERAL_PLACES: Final = 12
"""What a peer with several pairs of ranges takes more; each of its pairs takes one place besides."""
MOST_INNER_ADMINISTRATORS: Final = 16


def inner_administrators(
    site: SiteSettings, peer_ranges: Iterable[IPv4Network], administrators: Iterable[IPv4Network]
) -> tuple[IPv4Network, ...]:
    """Return the part of the site and of the peers' ranges that may reach the gateway by SSH.

    Security groups cannot tell these administrators from other hosts: they do not see inside the tunnel, and they admit
    the whole site because its traffic is forwarded. So the gateway's packet filter decides about them. The security
    group decides about all other administrators.
    """
    return common([*site.cidr_blocks, *peer_ranges], administrators)


def places(ranges: int, pairs: Iterable[int]) -> int:
    """Return the places that a gateway takes: `ranges` at its site and at all peers, `pairs` of ranges of each peer."""
    return RANGE_PLACES * ranges + sum(PEER_PLACES + (SEVERAL_PLACES + each if each > 1 else 0) for each in pairs)


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
    # A block of the site that is not in the tunnel as a whole is in the user data beside what is left of it.
    here, there = len({*site.cidr_blocks, *site.ranges}), len(peer_ranges)
    pairs = [len(site.ranges) * len(ranges_of_peer) for ranges_of_peer in peers.values()]
    taken, room = places(here + there, pairs), ROOM[delivery]
    if taken > room:
        value = f"{here} ranges at {site.name}"
        value += f", {there} at {', '.join(peers)}, {sum(pairs)} pairs of ranges" if peers else ""
        rule = (
            f"take {taken} places of the gateway's user data, which has {room} with secret_delivery {delivery.value}; "
            f"a range takes {RANGE_PLACES}, a peer {PEER_PLACES}, a peer with several pairs of ranges {SEVERAL_PLACES} "
            "more, and each of these pairs 1"
        )
        reader.report(
            ranges, value, rule, "use fewer peers, or fewer or larger ranges, or exclude larger, aligned ones"
        )
    inner = inner_administrators(site, peer_ranges, administrators)
    if len(inner) > MOST_INNER_ADMINISTRATORS:
        rule = f"are more than the {MOST_INNER_ADMINISTRATORS} for which a gateway's user data has room"
        value = f"{len(inner)} ranges inside the networks of {site.name} and its peers"
        reader.report("administrator_cidr_blocks", value, rule, "use fewer, larger ranges")
