"""Which connections pluto has to delete, add and route for it to have those of the file. Does nothing itself."""

from collections.abc import Mapping
from typing import NamedTuple

from ipsec_conf import IpsecConf, base, missing, owner, strays

ROUTED = {"ondemand", "route", "start"}
"""Values of `auto=` with which policies are in the kernel before the first packet."""


class Orders(NamedTuple):
    """What pluto is told, in this order."""

    delete: list[str]
    add: list[str]
    route: list[str]
    start: list[str]
    expect: list[str]
    """Those that the peer starts: they are routed after that."""


def orders(old: IpsecConf, new: IpsecConf, loaded: Mapping[str, bool]) -> Orders:
    """Return what makes the loaded connections those of the new file.

    `loaded` is name -> whether its policies are in the kernel. A connection that is the same in both files, and is
    loaded, is not touched: deleting the one that owns the IKE SA would interrupt all others with that peer. Connections
    of other names than our peers' are somebody else's.

    The one that owns the IKE SA has the peer's name alone. It is deleted last, because the traffic of all its peer's
    connections stops then. The side with the smaller public address starts it again, as vpn-watch does: two
    negotiations that cross leave SAs that only one side has. It does not wait for a packet, because a negotiation that
    failed while the peer had other connections may have left a policy in the kernel that drops packets.
    """
    changed = [
        name
        for name, keywords in new.connections.items()
        if name in old.connections and old.connections[name] != keywords
    ]
    bases = {base(name) for conf in (old, new) for name in conf.connections}
    # Libreswan expands `uk-to-au` with lists of ranges to `uk-to-au/1x2`: those are deleted one by one.
    gone = [name for name in loaded if owner(new, name) in changed]
    gone += [name for name in loaded if owner(old, name) in changed and name not in gone]
    gone += [name for name in strays(new, loaded, bases) if name not in gone]
    staying = [name for name in loaded if name not in gone]
    add = missing(new, staying)
    unrouted = {owner(new, name) for name in staying if not loaded[name]}
    route = [
        name for name, keys in new.connections.items() if keys["auto"] in ROUTED and (name in add or name in unrouted)
    ]
    again = [name for name in route if name in add and base(name) == name and base(name) in map(base, gone)]
    start = [name for name in again if _is_first(new.connections[name])]
    expect = [name for name in again if name not in start]
    return Orders(sorted(gone, key=lambda name: base(name) == name), add, route, start, expect)


def _is_first(keywords: Mapping[str, str]) -> bool:
    """Return whether this side of a connection starts it; each side sees the same two addresses."""
    return keywords.get("leftid", "") < keywords.get("right", "")
