"""Names of the connections between two gateways, one for each pair of ranges, as their user data writes them."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network


def pairs_of(
    name: str, ends: tuple[str, str], local: Sequence[str], remote: Sequence[str]
) -> Mapping[str, tuple[str, str]]:
    """Return each connection's name -> its local and remote range.

    `name` alone is the pair with the private addresses of both gateways, `ends`; for one that is unknown (empty), the
    first range is taken. The others have their ranges in it.
    """
    own = tuple(
        next((block for block in blocks if not end or IPv4Address(end) in IPv4Network(block)), "")
        for end, blocks in zip(ends, (local, remote), strict=True)
    )
    return {name if (a, b) == own else f"{name}/{a}={b}": (a, b) for a in local for b in remote}
