"""Arguments of a gateway at the other end of a tunnel -> what is known of it before anything exists."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import pulumi

from ..decisions.addressing import check_apart, check_disjoint, check_usable, parse_public_address
from ..decisions.problems import Problem
from .reader import Reader
from .site import NAME, NAME_REMEDY, Draft, SiteSettings

MOST_RANGE_PAIRS = 64
"""Of a range here and a range there. Each is a Child SA of its own, which a small instance negotiates at every start
and again every hour. A limit of this component, not of AWS.
"""


@dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """What is known of the other end before anything exists."""

    name: str
    public_ip: IPv4Address | pulumi.Output[str]
    private_address: IPv4Address
    networks: tuple[IPv4Network, ...]
    """What of it goes through the tunnel."""


def peer_of(site: SiteSettings, public_ip: IPv4Address | pulumi.Output[str]) -> PeerSettings:
    """Return one side of a pair as the other side's peer."""
    return PeerSettings(
        name=site.name, public_ip=public_ip, private_address=site.gateway_address, networks=site.tunnelled
    )


def read_peer(reader: Reader) -> PeerSettings | None:
    """Read one gateway at the other end."""
    before = len(reader.problems)
    name = reader.text("name", pattern=NAME, remedy=NAME_REMEDY)
    address = reader.address("private_ip", required=True)
    networks = reader.networks("cidr_blocks")
    public_ip = _public_ip(reader)
    for setting, network in networks:
        reader.problems += check_usable(setting, network)
    if reader.given("cidr_blocks") in (None, [], ()):
        reader.report(reader.setting("cidr_blocks"), "", "is required", "give what the other gateway stands for")
    if address is not None and networks and not any(address in network for _, network in networks):
        where = ", ".join(str(network) for _, network in networks)
        reader.report(reader.setting("private_ip"), address, f"is outside the peer's {where}", "give its address there")
    if name is None or address is None or public_ip is None or len(reader.problems) > before:
        return None
    return PeerSettings(
        name=name,
        public_ip=public_ip,
        private_address=address,
        networks=tuple(network for _, network in networks),
    )


def _public_ip(reader: Reader) -> IPv4Address | pulumi.Output[str] | None:
    setting, value = reader.setting("public_ip"), reader.input_text("public_ip")
    if reader.given("public_ip") in (None, ""):
        reader.report(setting, "", "is required", "give the other gateway's Elastic IP")
        return None
    if not isinstance(value, str):
        return None if value is None else pulumi.Output.from_input(value)
    parsed = parse_public_address(setting, value)
    if isinstance(parsed, Problem):
        reader.problems.append(parsed)
        return None
    return parsed


def check_peers(reader: Reader, draft: Draft, peers: tuple[PeerSettings, ...]) -> None:
    """Check that a site and its peers can be told apart, by name and by address."""
    names = [draft.name, *(peer.name for peer in peers)]
    for name in sorted({name for name in names if name is not None and names.count(name) > 1}):
        reader.report("peers", name, "is the name of two gateways", "name each gateway differently")
    ranges = [(f"cidr_blocks of peer {peer.name}", network) for peer in peers for network in peer.networks]
    reader.problems += check_apart(draft.networks, ranges)
    reader.problems += check_disjoint(ranges)
    known = [
        (f"public_ip of peer {peer.name}", peer.public_ip) for peer in peers if isinstance(peer.public_ip, IPv4Address)
    ]
    reader.problems += public_address_problems(known, [*draft.networks, *ranges])
    here = len(draft.site.tunnelled) if draft.site else 0
    for peer in peers:
        check_range_pairs(reader, f"cidr_blocks of peer {peer.name}", here, len(peer.networks))


def public_address_problems(
    addresses: Sequence[tuple[str, IPv4Address]], ranges: Sequence[tuple[str, IPv4Network]]
) -> list[Problem]:
    """Return one problem for each named address that is another's too, or in one of the named ranges.

    IKE tells its peers apart by their addresses, and to one in a range of a tunnel it would go through the tunnel that
    it is to make.
    """
    problems, seen = [], dict[IPv4Address, str]()
    for setting, address in addresses:
        if address in seen:
            rule = f"is that of {seen[address]} too, and a peer is known by it"
            remedy = "give each gateway's own Elastic IP; all ranges of one gateway are one peer's"
            problems.append(Problem(setting=setting, value=str(address), rule=rule, remedy=remedy))
        seen.setdefault(address, setting)
        for other, network in ranges:
            if address in network:
                rule = f"is in {other} {str(network)!r}, so the tunnel would have to go through itself"
                remedy = "give ranges without the gateways' public addresses"
                problems.append(Problem(setting=setting, value=str(address), rule=rule, remedy=remedy))
    return problems


def check_range_pairs(reader: Reader, setting: str, here: int, there: int) -> None:
    """Check that a tunnel is not made of more Child SAs than is sensible."""
    if here * there > MOST_RANGE_PAIRS:
        rule = (
            f"would make {here} x {there} Child SAs in the tunnel, one for each pair of ranges, "
            f"more than {MOST_RANGE_PAIRS}"
        )
        remedy = "exclude larger, aligned ranges, or fewer of them, or give fewer additional ranges"
        reader.report(setting, "…", rule, remedy)
