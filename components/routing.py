"""Pure decisions about routes to a gateway: which there must be, and what in a route table stands in their way."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from .addressing import Problem

ANYWHERE: Final = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, kw_only=True)
class TableRoute:
    """A route that is there: IPv4, and not one that AWS made for the VPC itself."""

    destination: IPv4Network
    target: str
    """Id of what it leads to."""


def destinations(peer_networks: Iterable[IPv4Network], *, take_default_route: bool) -> tuple[IPv4Network, ...]:
    """Return the destinations that a private route table must send to the gateway."""
    return (ANYWHERE,) if take_default_route else tuple(peer_networks)


def route_problems(
    setting: str,
    table_id: str,
    routes: Sequence[TableRoute],
    *,
    peer_networks: Sequence[IPv4Network],
    take_default_route: bool,
    own: Collection[str],
) -> list[Problem]:
    """Return what in a route table would have to give way to the gateway's routes, or would lead past them.

    A table has one route to a destination, and the longest prefix wins (Amazon VPC user guide, "Route priority"). A
    route whose target is one of `own`, the gateway's interfaces, is the component's.
    """
    wanted = destinations(peer_networks, take_default_route=take_default_route)
    problems = []
    for route in (route for route in routes if route.target not in own):
        remedy = None
        if route.destination in wanted:
            rule = f"has a route to {route.destination} already, to {route.target}"
            remedy = "remove it"
            if route.destination == ANYWHERE:
                remedy += ", or set take_default_route to false to route only the peers' networks to the gateway"
        elif passed := [network for network in peer_networks if _leads_past(route, network, take_default_route)]:
            rule = f"has a route to {route.destination}, to {route.target}, which leads past the tunnel to {passed[0]}"
            remedy = "remove it, or exclude that range from the tunnel"
        if remedy is not None:
            problems.append(Problem(setting=setting, value=table_id, rule=rule, remedy=remedy))
    return problems


def _leads_past(route: TableRoute, network: IPv4Network, take_default_route: bool) -> bool:
    ours = ANYWHERE if take_default_route else network
    return route.destination.overlaps(network) and route.destination.prefixlen > ours.prefixlen
