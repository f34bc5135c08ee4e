"""The state that each network namespace shall have: frozen records without behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from lab.network import names

MAIN_TABLE = 254
"""The kernel's routing table `main`."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The other end of a veth; `namespace` None is the root namespace."""

    namespace: str | None
    name: str


@dataclass(frozen=True, kw_only=True)
class Link:
    """An interface: a veth when it has a peer, else a persistent tap."""

    name: str
    mtu: int
    mac_address: str | None = None
    """None keeps the kernel's choice."""
    peer: Peer | None = None


@dataclass(frozen=True, kw_only=True)
class Address:
    """An address of an interface."""

    interface: str
    address: IPv4Interface
    is_connected: bool = True
    """Whether the kernel adds a route for the prefix."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route; `throw` continues the look-up with the next rule."""

    destination: IPv4Network
    kind: Literal["unicast", "blackhole", "throw"] = "unicast"
    table: int = MAIN_TABLE
    interface: str | None = None
    gateway: IPv4Address | None = None
    source: IPv4Address | None = None
    """Source address of the namespace's own packets."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Packets that arrive through `interface` are routed by `table` first."""

    interface: str
    table: int


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """Everything in one network namespace; `name` None is the root namespace."""

    name: str | None
    is_router: bool = False
    is_shared: bool = False
    """Whether others use the namespace too (the host, an instance): only the links listed here are changed."""
    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    ruleset: str = ""
    """Input of `nft -f`."""
    translations: frozenset[tuple[IPv4Address, IPv4Address]] = frozenset()
    """Pairs of (Elastic IP, private address) that the Internet gateway translates."""
    dnsmasq: str = ""
    """Configuration of the DHCP and DNS server."""
    resolv_conf: str = ""


Plan = Mapping[str | None, Namespace]
"""The whole network by namespace, in the order of creation."""


def veth(name: str, *, mtu: int, to: str | None, peer_name: str, mac_address: str | None = None) -> Link:
    """Return one end of a veth pair; the plan of the namespace `to` must hold the other end."""
    return Link(name=name, mtu=mtu, mac_address=mac_address, peer=Peer(namespace=to, name=peer_name))


def tap(eni_id: str, *, mtu: int) -> Link:
    """Return the tap of an ENI."""
    return Link(name=names.tap(eni_id), mtu=mtu)
