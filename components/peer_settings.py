"""Arguments of a gateway at the other end of a tunnel -> what is known of it before anything exists."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from .addressing import check_apart, check_disjoint
from .reader import Reader
from .site_settings import NAME, NAME_REMEDY, Draft, SiteSettings

MOST_RANGE_PAIRS = 64
"""Of a range here and a range there, each a Child SA of its own. 64 is what the user data has room for."""


@dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """What is known of the other end before anything exists."""

    name: str
    private_address: IPv4Address
    networks: tuple[IPv4Network, ...]
    """What of it goes through the tunnel."""


def peer_of(site: SiteSettings) -> PeerSettings:
    """Return one side of a pair as the other side's peer."""
    return PeerSettings(name=site.name, private_address=site.gateway_address, networks=site.tunnelled)


def read_peer(reader: Reader) -> PeerSettings | None:
    """Read one gateway at the other end."""
    name = reader.text("name", pattern=NAME, remedy=NAME_REMEDY)
    address = reader.address("private_ip", required=True)
    networks = reader.networks("cidr_blocks")
    reader.check_input_text("public_ip")
    if reader.given("public_ip") in (None, ""):
        reader.report(reader.setting("public_ip"), "", "is required", "give the other gateway's Elastic IP")
    if reader.given("cidr_blocks") in (None, [], ()):
        reader.report(reader.setting("cidr_blocks"), "", "is required", "give what the other gateway stands for")
    if name is None or address is None or not networks:
        return None
    if not any(address in network for _, network in networks):
        where = ", ".join(str(network) for _, network in networks)
        reader.report(reader.setting("private_ip"), address, f"is outside the peer's {where}", "give its address there")
    return PeerSettings(name=name, private_address=address, networks=tuple(network for _, network in networks))


def check_peers(reader: Reader, draft: Draft, peers: tuple[PeerSettings, ...]) -> None:
    """Check that a site and its peers can be told apart, by name and by address."""
    names = [draft.name, *(peer.name for peer in peers)]
    for name in sorted({name for name in names if name is not None and names.count(name) > 1}):
        reader.report("peers", name, "is the name of two gateways", "name each gateway differently")
    ranges = [(f"cidr_blocks of peer {peer.name}", network) for peer in peers for network in peer.networks]
    reader.problems += check_apart(draft.networks, ranges)
    reader.problems += check_disjoint(ranges)
    here = len(draft.site.tunnelled) if draft.site else 0
    for peer in peers:
        check_range_pairs(reader, f"cidr_blocks of peer {peer.name}", here, len(peer.networks))


def check_range_pairs(reader: Reader, setting: str, here: int, there: int) -> None:
    """Check that a tunnel is not made of more Child SAs than is sensible."""
    if here * there > MOST_RANGE_PAIRS:
        rule = f"would make {here} x {there} pairs of ranges in the tunnel, more than {MOST_RANGE_PAIRS}"
        remedy = "exclude larger, aligned ranges, or fewer of them, or give fewer additional ranges"
        reader.report(setting, "…", rule, remedy)
