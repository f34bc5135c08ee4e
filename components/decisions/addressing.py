"""Pure decisions about CIDR blocks and addresses: the rules for a VPC, and the defaults.

Every check returns a list of `Problem`s, which is empty if all is well, and raises nothing.
"""

from collections.abc import Iterable, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError, collapse_addresses
from itertools import combinations, pairwise, product
from typing import Final

from .problems import Problem

LARGEST_PREFIX_LENGTH: Final = 28
SMALLEST_PREFIX_LENGTH: Final = 16
"""A VPC is a /16 to a /28, and so is a subnet (Amazon VPC user guide, "VPC CIDR blocks")."""

RESERVED_AT_START: Final = 4
"""AWS reserves the first four addresses of every subnet (network, router, DNS, future use), and the last one."""

PREFERRED_SUBNET_PREFIX_LENGTH: Final = 24

# Amazon VPC user guide: these collide with services inside a VPC or are not unicast addresses.
UNUSABLE_NETWORKS: Final = {
    IPv4Network("0.0.0.0/8"): "addresses of 'this network'",
    IPv4Network("127.0.0.0/8"): "loopback addresses",
    IPv4Network("169.254.0.0/16"): "link-local addresses, where the metadata service is",
    IPv4Network("224.0.0.0/3"): "multicast and reserved addresses",
}

PRIVATE_NETWORKS: Final = tuple(
    map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"))
)
"""Private (RFC 1918), shared by providers (RFC 6598) and link-local (RFC 3927): the Internet has no routes to them."""


def parse_network(setting: str, value: str, *, example: str = "10.10.0.0/16") -> IPv4Network | Problem:
    """Return the canonical IPv4 network that `value` spells, or its problem."""

    def problem(rule: str, remedy: str) -> Problem:
        return Problem(setting=setting, value=value, rule=rule, remedy=remedy)

    if ":" in value:
        return problem("is IPv6, and only IPv4 is routed and tunnelled here", f"use an IPv4 CIDR block, e.g. {example}")
    if "/" not in value or "." in value.partition("/")[2]:
        return problem("is not an IPv4 CIDR block (address/prefix length)", f"use e.g. {example}")
    try:
        network = IPv4Network(value, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        return problem("is not a valid IPv4 CIDR block", f"use e.g. {example}")
    if str(network) != value:
        return problem("is not canonical: bits are set to the right of the prefix", f"use {network}")
    return network


def parse_address(setting: str, value: str) -> IPv4Address | Problem:
    """Return the IPv4 address that `value` spells, or its problem."""
    try:
        return IPv4Address(value)
    except AddressValueError:
        rule = "is IPv6, and only IPv4 is used here" if ":" in value else "is not a valid IPv4 address"
        return Problem(setting=setting, value=value, rule=rule, remedy="use e.g. 10.10.1.254")


def parse_public_address(setting: str, value: str) -> IPv4Address | Problem:
    """Return the IPv4 address of a host on the Internet that `value` spells, or its problem."""

    def problem(rule: str) -> Problem:
        remedy = "give the other gateway's Elastic IP, as 203.0.113.7"
        return Problem(setting=setting, value=value, rule=rule, remedy=remedy)

    address = parse_address(setting, value)
    if isinstance(address, Problem):
        return problem(address.rule)
    for network, what in UNUSABLE_NETWORKS.items():
        if address in network:
            return problem(f"is one of the {what} ({network})")
    for network in PRIVATE_NETWORKS:
        if address in network:
            return problem(f"is a private address (of {network}), and the tunnel goes over the Internet")
    return address


def check_vpc(setting: str, network: IPv4Network) -> list[Problem]:
    """Return the problems of `network` as the CIDR block of a VPC."""

    def problem(rule: str, remedy: str) -> Problem:
        return Problem(setting=setting, value=str(network), rule=rule, remedy=remedy)

    problems = []
    if not SMALLEST_PREFIX_LENGTH <= network.prefixlen <= LARGEST_PREFIX_LENGTH:
        problems.append(problem("a VPC is a /16 to a /28", "choose a prefix length from 16 to 28"))
    return problems + check_usable(setting, network)


def check_usable(setting: str, network: IPv4Network) -> list[Problem]:
    """Return one problem for each unusable range that `network` overlaps."""
    return [
        Problem(
            setting=setting,
            value=str(network),
            rule=f"contains {what} ({unusable})",
            remedy="use a private range of RFC 1918",
        )
        for unusable, what in UNUSABLE_NETWORKS.items()
        if network.overlaps(unusable)
    ]


def without(networks: Iterable[IPv4Network], excluded: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    """Return the fewest networks that hold the addresses of `networks` without those of `excluded`.

    If nothing is excluded, return `networks` unchanged.
    """
    remaining = tuple(networks)
    for hole in excluded:
        remaining = tuple(part for network in remaining for part in _without(network, hole))
    return remaining


def _without(network: IPv4Network, hole: IPv4Network) -> Iterable[IPv4Network]:
    if not network.overlaps(hole):
        return (network,)
    return () if network.subnet_of(hole) else sorted(network.address_exclude(hole))


def common(some: Iterable[IPv4Network], others: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    """Return the fewest networks that hold the addresses that are both in `some` and in `others`, sorted."""
    # If two networks overlap, one of them contains the other.
    smaller = (max(two, key=lambda each: each.prefixlen) for two in product(some, others) if two[0].overlaps(two[1]))
    return tuple(collapse_addresses(smaller))


def check_disjoint(networks: Sequence[tuple[str, IPv4Network]]) -> list[Problem]:
    """Return one problem for each pair of the named networks that share an address."""
    return [problem for one, other in combinations(networks, 2) for problem in check_apart([one], [other])]


def check_apart(some: Sequence[tuple[str, IPv4Network]], others: Sequence[tuple[str, IPv4Network]]) -> list[Problem]:
    """Return one problem for each of `others` that shares an address with one of `some`."""
    return [
        Problem(
            setting=setting,
            value=str(network),
            rule=f"overlaps `{other_setting}` {str(other)!r}",
            remedy="give each its own range: an address must be in one place only",
        )
        for (other_setting, other), (setting, network) in product(some, others)
        if network.overlaps(other)
    ]


def check_subnet(setting: str, subnet: IPv4Network, vpc: IPv4Network) -> list[Problem]:
    """Return the problems of `subnet` as a subnet of `vpc`."""

    def problem(rule: str, remedy: str) -> Problem:
        return Problem(setting=setting, value=str(subnet), rule=rule, remedy=remedy)

    problems = []
    if not subnet.subnet_of(vpc):
        problems.append(problem(f"is outside its VPC {vpc}", f"use a part of {vpc}"))
    if not SMALLEST_PREFIX_LENGTH <= subnet.prefixlen <= LARGEST_PREFIX_LENGTH:
        problems.append(problem("a subnet is a /16 to a /28", "choose a prefix length from 16 to 28"))
    return problems


def reserved_addresses(subnet: IPv4Network) -> frozenset[IPv4Address]:
    """Return the five addresses of `subnet` that AWS reserves: the first four and the last."""
    return frozenset([*(subnet.network_address + n for n in range(RESERVED_AT_START)), subnet.broadcast_address])


def check_host(setting: str, address: IPv4Address, subnets: Iterable[IPv4Network]) -> list[Problem]:
    """Return the problems of `address` as the address of a host in one of `subnets`."""
    candidates = tuple(subnets)
    home = subnet_of(address, candidates)
    if home is None:
        where = " or ".join(map(str, candidates))
        rule, remedy = f"is outside its subnet {where}", f"use an address of {where}"
    elif address in reserved_addresses(home):
        first, last = home.network_address + RESERVED_AT_START, home.broadcast_address - 1
        rule = f"is reserved by AWS (the first four addresses and the last of {home})"
        remedy = f"use {first} to {last}"
    else:
        return []
    return [Problem(setting=setting, value=str(address), rule=rule, remedy=remedy)]


def subnet_of(address: IPv4Address, subnets: Iterable[IPv4Network]) -> IPv4Network | None:
    """Return the subnet that contains `address`, or None."""
    return next((subnet for subnet in subnets if address in subnet), None)


def default_subnets(vpc: IPv4Network) -> tuple[IPv4Network, IPv4Network] | None:
    """Return the default public and private subnet of `vpc`: its first two /24, or its halves.

    Return None if the VPC is too small for two subnets.
    """
    if vpc.prefixlen >= LARGEST_PREFIX_LENGTH:
        return None
    first_two = vpc.subnets(new_prefix=max(PREFERRED_SUBNET_PREFIX_LENGTH, vpc.prefixlen + 1))
    return next(pairwise(first_two))


def default_gateway_address(public_subnet: IPv4Network) -> IPv4Address:
    """Return the gateway's default address: the last one that AWS does not reserve, as in the article."""
    return public_subnet.broadcast_address - 1
