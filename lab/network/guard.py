"""Keeps the lab's routes from taking over address ranges that the host uses."""

from collections.abc import Iterable
from ipaddress import IPv4Network

from pyroute2 import IPRoute  # type: ignore[import-untyped]

from lab import settings
from lab.network import names
from lab.network.plan import NetworkError

_MAIN_TABLE = 254


def check_host_routes() -> None:
    """Raise NetworkError when a route of the host overlaps one of the lab's address ranges."""
    conflicts = overlaps(host_routes())
    if conflicts:
        overlapping = ", ".join(
            f"{route} dev {interface} with the lab's {lab_range}" for route, interface, lab_range in conflicts
        )
        raise NetworkError(
            f"routes of this host overlap the lab's addresses: {overlapping}; "
            "change INTERNET or ELASTIC_IP_POOLS in lab/settings.py to ranges that this host does not use"
        )


def host_routes() -> list[tuple[IPv4Network, str]]:
    """Return the root namespace's routes as (destination, interface), without the default route and the lab's."""
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
    lab_ranges = (*settings.ELASTIC_IP_POOLS, settings.INTERNET)
    return [
        (route, interface, lab_range)
        for route, interface in routes
        for lab_range in lab_ranges
        if route.overlaps(lab_range)
    ]
