"""Reads the arguments of the peers, and checks that a site and its peers can be told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import Final

import pulumi

from ..decisions.addressing import check_apart, check_disjoint, check_usable, parse_public_address
from ..decisions.problems import SECRET, Problem
from .arguments import SECRETS
from .reader import Reader
from .site import NAME, NAME_REMEDY, Draft, SiteSettings

MOST_RANGE_PAIRS: Final = 64
"""Pairs of a range of the site and a range of a peer. Each pair is a Child SA, which a small instance negotiates at
every start and again every hour. A limit of this component, not of AWS.
"""


@dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """The settings of one peer."""

    name: str
    public_ip: IPv4Address | pulumi.Output[str]
    private_ip: IPv4Address | None
    """Answers pings through the tunnel; None: unknown."""
    ranges: tuple[IPv4Network, ...]
    """Its argument `cidr_blocks`: the part of the peer's site that goes through the tunnel."""


def peer_of(site: SiteSettings, public_ip: IPv4Address | pulumi.Output[str]) -> PeerSettings:
    """Return one side of a pair as the peer of the other side."""
    return PeerSettings(name=site.name, public_ip=public_ip, private_ip=site.gateway_private_ip, ranges=site.ranges)


def read_peer(reader: Reader) -> PeerSettings | None:
    """Read the arguments of one peer; None when one of them is a problem."""
    before = len(reader.problems)
    name = reader.text("name", pattern=NAME, remedy=NAME_REMEDY)
    private_ip = reader.address("private_ip")
    named_ranges = reader.networks("cidr_blocks")
    public_ip = _public_ip(reader)
    for setting, each in named_ranges:
        reader.problems += check_usable(setting, each)
    ranges = tuple(each for _, each in named_ranges)
    if reader.value("cidr_blocks") in (None, [], ()):
        reader.report(reader.setting("cidr_blocks"), "", "is required", "give the ranges of the peer")
    if private_ip is not None and ranges and not any(private_ip in each for each in ranges):
        rule, remedy = f"is outside the peer's {', '.join(map(str, ranges))}", "give its address in one of them"
        reader.report(reader.setting("private_ip"), private_ip, rule, remedy)
    if name is None or public_ip is None or len(reader.problems) > before:
        return None
    return PeerSettings(name=name, public_ip=public_ip, private_ip=private_ip, ranges=ranges)


def _public_ip(reader: Reader) -> IPv4Address | pulumi.Output[str] | None:
    setting, value = reader.setting("public_ip"), reader.input_text("public_ip")
    if reader.value("public_ip") in (None, ""):
        reader.report(setting, "", "is required", "give the public address of the peer")
        return None
    if not isinstance(value, str):
        return None if value is None else pulumi.Output.from_input(value)
    parsed = parse_public_address(setting, value)
    if isinstance(parsed, Problem):
        reader.problems.append(parsed)
        return None
    return parsed


def check_peers(reader: Reader, draft: Draft, peers: tuple[PeerSettings, ...]) -> None:
    """Check that a site and its peers differ in name and address."""
    names = [draft.name, *(peer.name for peer in peers)]
    for name in sorted({name for name in names if name is not None and names.count(name) > 1}):
        reader.report("peers", name, "is the name of two gateways", "name each gateway differently")
    ranges = [(f"cidr_blocks of peer {peer.name}", each) for peer in peers for each in peer.ranges]
    reader.problems += check_apart(draft.cidr_blocks, ranges)
    reader.problems += check_disjoint(ranges)
    known = [
        (f"public_ip of peer {peer.name}", peer.public_ip) for peer in peers if isinstance(peer.public_ip, IPv4Address)
    ]
    reader.problems += public_address_problems(known, [*draft.cidr_blocks, *ranges])
    number = len(draft.site.ranges) if draft.site else 0
    for peer in peers:
        check_range_pairs(reader, f"cidr_blocks of peer {peer.name}", number, len(peer.ranges))


def check_alone(reader: Reader) -> None:
    """Check that a gateway without peers has no argument that only tunnels use."""
    for key in ("psk", "ppk", "profile", "excluded_cidr_blocks"):
        value = reader.value(key)
        if value not in (None, [], ()):
            rule, remedy = "is for tunnels, and without `peers` there are none", "leave it out, or give `peers`"
            shown = value.value if isinstance(value, Enum) else value
            reader.report(key, SECRET if key in SECRETS else shown, rule, remedy)
    existing = reader.value("existing_network")
    if isinstance(existing, Mapping) and existing.get("take_default_route") is False:
        rule, remedy = "leaves a gateway without `peers` no route at all", "leave it out, or give `peers`"
        reader.report("existing_network.take_default_route", "false", rule, remedy)


def public_address_problems(
    addresses: Sequence[tuple[str, IPv4Address]], ranges: Sequence[tuple[str, IPv4Network]]
) -> list[Problem]:
    """Return a problem for each public address that two gateways have, or that a range contains.

    IKE tells its peers apart by their addresses. Packets to an address in a range would go through the tunnel that they
    are to establish.
    """
    problems, seen = [], dict[IPv4Address, str]()
    for setting, address in addresses:
        if address in seen:
            rule = f"is that of {seen[address]} too, and a peer is known by it"
            remedy = "give each gateway's own Elastic IP; all ranges of one gateway belong to one peer"
            problems.append(Problem(setting=setting, value=str(address), rule=rule, remedy=remedy))
        seen.setdefault(address, setting)
        for other, each in ranges:
            if address in each:
                rule = f"is in {other} {str(each)!r}, so the tunnel would have to go through itself"
                remedy = "give ranges without the gateways' public addresses"
                problems.append(Problem(setting=setting, value=str(address), rule=rule, remedy=remedy))
    return problems


def check_range_pairs(reader: Reader, setting: str, ranges: int, peer_ranges: int) -> None:
    """Check that the numbers of ranges on both sides do not make more Child SAs than a small instance can keep."""
    if ranges * peer_ranges > MOST_RANGE_PAIRS:
        rule = (
            f"would make {ranges} x {peer_ranges} Child SAs in the tunnel, one for each pair of ranges, "
            f"more than {MOST_RANGE_PAIRS}"
        )
        remedy = "exclude larger, aligned ranges, or fewer of them, or give fewer additional ranges"
        reader.report(setting, "…", rule, remedy)
