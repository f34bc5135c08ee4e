"""Pure decisions about routes to a gateway: which routes it needs, and which existing routes conflict with them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from .problems import Problem

ANYWHERE: Final = IPv4Network("0.0.0.0/0")

MOST_ROUTES: Final = 1000
USUAL_ROUTES: Final = 500
"""Routes in one route table, not counting local ones: the quota's maximum, and its value unless it was raised (Amazon
VPC user guide, "Amazon VPC quotas").
"""

_RENAMED: Final = (
    "if it is this gateway's under its former name, take that name again or give it as an alias, "
    "or destroy the gateway under its former name first"
)


@dataclass(frozen=True, kw_only=True)
class TableRoute:
    """An existing IPv4 route that AWS did not make for the VPC itself."""

    destination: IPv4Network
    target: str
    """Id of the resource that it leads to."""


def destinations(peer_ranges: Iterable[IPv4Network], *, take_default_route: bool) -> tuple[IPv4Network, ...]:
    """Return the destinations that a private route table must send to the gateway."""
    return (ANYWHERE,) if take_default_route else tuple(peer_ranges)


def routes_after(routes: Sequence[TableRoute], wanted: Iterable[IPv4Network]) -> int:
    """Return how many routes a table has after the wanted ones are added."""
    return len({*(route.destination for route in routes), *wanted})


def route_problems(
    setting: str,
    table_id: str,
    routes: Sequence[TableRoute],
    *,
    peer_ranges: Sequence[IPv4Network],
    take_default_route: bool,
    own: Collection[str],
    gateways: Collection[str],
) -> list[Problem]:
    """Return a problem for each route that the gateway's routes would replace, or that leads past the tunnel.

    A table has one route to a destination, and the longest prefix wins (Amazon VPC user guide, "Route priority").
    Routes to one of `own`, the gateway's own interfaces, are the component's. `gateways` are the interfaces of all
    gateways of this kind; no remedy says to remove a route to one of them.
    """
    wanted = destinations(peer_ranges, take_default_route=take_default_route)
    problems = []
    for route in (route for route in routes if route.target not in own):
        is_a_gateways = route.target in gateways
        target = f"{route.target}, the interface of another gateway" if is_a_gateways else route.target
        remedies = []
        if route.destination in wanted:
            rule = f"has a route to {route.destination} already, to {target}"
            remedies.append("name a route table that no other gateway has" if is_a_gateways else "remove it")
            if route.destination == ANYWHERE:
                remedies.append("set `take_default_route` to false to route only the peers' networks to the gateway")
        elif passed := [network for network in peer_ranges if _leads_past(route, network, take_default_route)]:
            rule = f"has a route to {route.destination}, to {target}, which leads past the tunnel to {passed[0]}"
            remedies += [] if is_a_gateways else ["remove it"]
            remedies.append("exclude that range from the tunnel")
        if remedies:
            remedy = ", or ".join(remedies) + (f"; {_RENAMED}" if is_a_gateways else "")
            problems.append(Problem(setting=setting, value=table_id, rule=rule, remedy=remedy))
    number = routes_after(routes, wanted)
    if number > MOST_ROUTES:
        rule = f"would have {number} routes, more than the {MOST_ROUTES} that AWS lets a table have at most"
        problems.append(Problem(setting=setting, value=table_id, rule=rule, remedy="summarize routes of it"))
    return problems


def address_problem(address: str, holder: str, gateways: Collection[str]) -> Problem:
    """Return the problem that another interface, `holder`, has the gateway's address."""
    is_a_gateways = holder in gateways
    rule = f"is in use by {holder}" + (", the interface of another gateway" if is_a_gateways else "")
    remedy = "give a free address of the public subnet" + (f"; {_RENAMED}" if is_a_gateways else "")
    return Problem(setting="gateway_private_ip", value=address, rule=rule, remedy=remedy)


def way_out_problem(
    setting: str, subnet_id: str, table_id: str, routes: Sequence[TableRoute], wanted: str | None
) -> Problem | None:
    """Return a problem unless the public subnet's default route leads to `wanted`, or to any Internet gateway."""
    targets = [route.target for route in routes if route.destination == ANYWHERE]
    if targets and targets[0].startswith("igw-") and wanted in (None, targets[0]):
        return None
    gateway = wanted or "an Internet gateway"
    now = f"the default route of {table_id} leads to {targets[0]}" if targets else f"{table_id} has no default route"
    return Problem(
        setting=setting,
        value=subnet_id,
        rule=f"has no way to the Internet by {gateway}: {now}",
        remedy=f"let it lead to {gateway}; a route that the same program makes belongs into depends_on",
    )


def _leads_past(route: TableRoute, network: IPv4Network, take_default_route: bool) -> bool:
    ours = ANYWHERE if take_default_route else network
    return route.destination.overlaps(network) and route.destination.prefixlen > ours.prefixlen
