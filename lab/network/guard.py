"""Keeps the lab's addresses from taking the host's own away."""

from collections.abc import Iterable
from ipaddress import IPv4Network

from pyroute2 import IPRoute  # type: ignore[import-untyped]

from lab import settings
from lab.network import names
from lab.network.plan import NetworkError

_MAIN_TABLE = 254


def check_host_routes() -> None:
    """Raise NetworkError when the host routes one of the lab's address ranges somewhere else already."""
    conflicts = overlaps(host_routes())
    if conflicts:
        found = ", ".join(f"{route} dev {interface} with the lab's {ours}" for route, interface, ours in conflicts)
        raise NetworkError(
            f"routes of this host overlap the lab's addresses: {found}; "
            "change INTERNET or ELASTIC_IP_POOLS in lab/settings.py to ranges this host does not use"
        )


def host_routes() -> list[tuple[IPv4Network, str]]:
    """Return the root namespace's routes as (destination, interface), without the default route and the lab's own."""
    with IPRoute() as ip:
        interfaces = {link["index"]: link.get_attr("IFLA_IFNAME") for link in ip.get_links()}
        return [
            (IPv4Network((route.get_attr("RTA_DST"), route["dst_len"])), name)
            for route in ip.get_routes(family=2, table=_MAIN_TABLE)
            if route["dst_len"]
            and (name := interfaces.get(route.get_attr("RTA_OIF"), "")) != names.administrator_link()
        ]


def overlaps(routes: Iterable[tuple[IPv4Network, str]]) -> list[tuple[IPv4Network, str, IPv4Network]]:
    """Return the routes that overlap a range of the lab, each with that range. Pure."""
    ranges = (*settings.ELASTIC_IP_POOLS, settings.INTERNET)
    return [(route, interface, ours) for route, interface in routes for ours in ranges if route.overlaps(ours)]
