"""Makes the links, addresses, routes and rules of one network namespace agree with its plan, by rtnetlink(7).

Everything is read first and only differences are written, so it can follow any earlier attempt, complete or not.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute  # type: ignore[import-untyped]
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]

from lab.network import model
from lab.network.sockets import call_in

_T = TypeVar("_T")

_log = logging.getLogger("lab.network")

# linux/rtnetlink.h and linux/if_addr.h
_LOCAL_TABLE = 255
_PROTOCOL_KERNEL = 2
_KINDS = {1: "unicast", 6: "blackhole", 9: "throw"}
_ONLINK = 4
_SCOPE_LINK = 253
_NO_PREFIX_ROUTE = 0x200
_IFF_UP = 1
_RULE_PRIORITY = 100

_NAMESPACE_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
}
_ROUTER_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    # A gateway forwards packets whose source addresses have no route back through it (source/destination check off).
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
}


def reconcile(plan: model.Namespace) -> None:
    """Make an existing namespace agree with `plan`. Raises OSError or NetlinkError when the kernel refuses."""
    within(plan.name, lambda: _Reconciliation(plan).run())


def within(namespace: str | None, function: Callable[[], None]) -> None:
    """Run `function` in the namespace; None is the root namespace."""
    # The process stays in the root namespace; only its calling thread may be in another.
    call_in(namespace or f"/proc/{os.getpid()}/ns/net", function)


def delete_links(namespace: str | None, names: Iterable[str] | None = None) -> list[str]:
    """Delete the named interfaces, or all but `lo` when `names` is None; return the names of those that existed.

    When only the namespace is removed, the kernel removes the other ends of its veths some time later.
    """
    deleted = []

    def run() -> None:
        with IPRoute() as ip:
            present = {link.get_attr("IFLA_IFNAME"): link["index"] for link in ip.get_links()}
            for name in [name for name in present if name != "lo"] if names is None else names:
                if name in present:
                    with _ignoring(errno.ENODEV):
                        ip.link("del", index=present[name])
                    deleted.append(name)

    within(namespace, run)
    return deleted


class _Reconciliation:
    """One pass over one namespace, in a thread inside it."""

    def __init__(self, plan: model.Namespace) -> None:
        self.plan = plan
        self.is_root = plan.name is None
        self.owns_all = not plan.is_shared

    def run(self) -> None:
        if not self.is_root:
            sysctls = _NAMESPACE_SYSCTLS | (_ROUTER_SYSCTLS if self.plan.is_router else {})
            for key, value in sysctls.items():
                _set_sysctl(key, value)
        with IPRoute() as self.ip:
            self._links()
            self.indexes = {link.get_attr("IFLA_IFNAME"): link["index"] for link in self.ip.get_links()}
            self.interfaces = {index: name for name, index in self.indexes.items()}
            self._addresses()
            self._rules()
            self._routes()

    def _log_change(self, change: str) -> None:
        _log.info("%s: %s", self.plan.name or "root namespace", change)

    def _links(self) -> None:
        present = {link.get_attr("IFLA_IFNAME"): link for link in self.ip.get_links()}
        wanted = {link.name: link for link in self.plan.links}
        for name in present:
            if self.owns_all and name != "lo" and name not in wanted:
                self._log_change(f"delete link {name}")
                with _ignoring(errno.ENODEV):
                    self.ip.link("del", index=present[name]["index"])
        if not self.is_root and not present["lo"]["flags"] & _IFF_UP:
            self.ip.link("set", index=present["lo"]["index"], state="up")
        for link in self.plan.links:
            current = present.get(link.name)
            if current is not None and not self._is_same_kind(current, link):
                self.ip.link("del", index=current["index"])
                current = None
            if current is None:
                self._add_link(link)
                current = next(iter(self.ip.get_links(ifname=link.name)))
            self._set_link(current, link)

    def _is_same_kind(self, current: Any, link: model.Link) -> bool:
        kind = current.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
        return bool(kind == ("tun" if link.peer is None else "veth"))

    def _add_link(self, link: model.Link) -> None:
        other_end = f" to {link.peer.namespace or 'root namespace'}" if link.peer else ""
        self._log_change(f"add link {link.name}{other_end}")
        if link.peer is None:
            self.ip.link("add", ifname=link.name, kind="tuntap", mode="tap")
            return
        # The end of an older pair may still have the peer's name.
        delete_links(link.peer.namespace, [link.peer.name])
        target = {"net_ns_fd": link.peer.namespace} if link.peer.namespace else {"net_ns_pid": os.getpid()}
        self.ip.link("add", ifname=link.name, kind="veth", peer={"ifname": link.peer.name, **target})

    def _set_link(self, current: Any, link: model.Link) -> None:
        index = current["index"]
        if self.plan.is_router:
            # Each link needs its own values: one created from its other end may be older than the namespace's defaults.
            _set_sysctl(f"net/ipv4/conf/{link.name}/rp_filter", "0")
            _set_sysctl(f"net/ipv4/conf/{link.name}/send_redirects", "0")
            _set_sysctl(f"net/ipv4/conf/{link.name}/proxy_arp", "1")
            # By default a proxy ARP reply is delayed by a random time of up to 0.8 s (arp(7)).
            _set_sysctl(f"net/ipv4/neigh/{link.name}/proxy_delay", "0")
        if self.is_root:
            _set_sysctl(f"net/ipv6/conf/{link.name}/disable_ipv6", "1")
        if link.mac_address and current.get_attr("IFLA_ADDRESS") != link.mac_address:
            self.ip.link("set", index=index, address=link.mac_address)
        if current.get_attr("IFLA_MTU") != link.mtu:
            self.ip.link("set", index=index, mtu=link.mtu)
        if not current["flags"] & _IFF_UP:
            self.ip.link("set", index=index, state="up")

    def _addresses(self) -> None:
        present = set()
        for message in self.ip.get_addr(family=2):
            name = self.interfaces.get(message["index"], "")
            value = IPv4Interface((message.get_attr("IFA_LOCAL"), message["prefixlen"]))
            is_connected = not (message.get_attr("IFA_FLAGS") or 0) & _NO_PREFIX_ROUTE
            present.add(model.Address(interface=name, address=value, is_connected=is_connected))
        wanted = set(self.plan.addresses)
        for address in present - wanted:
            if self._is_planned(address.interface) and not address.address.ip.is_loopback:
                self._log_change(f"delete address {address.address} of {address.interface}")
                self._address("del", address)
        for address in _in_order(self.plan.addresses, wanted - present):
            self._log_change(f"add address {address.address} to {address.interface}")
            self._address("add", address)

    def _address(self, command: str, address: model.Address) -> None:
        flags = {} if address.is_connected else {"flags": _NO_PREFIX_ROUTE}
        self.ip.addr(
            command,
            index=self.indexes[address.interface],
            address=str(address.address.ip),
            prefixlen=address.address.network.prefixlen,
            **flags,
        )

    def _is_planned(self, interface: str) -> bool:
        return self.owns_all or any(link.name == interface for link in self.plan.links)

    def _routes(self) -> None:
        present = set(self._present_routes())
        wanted = set(self.plan.routes)
        for route in present - wanted:
            self._log_change(f"delete route {_text(route)}")
            with _ignoring(errno.ESRCH):
                self._route("del", route)
        for route in _in_order(self.plan.routes, wanted - present):
            self._log_change(f"add route {_text(route)}")
            self._route("add", route)

    def _present_routes(self) -> Iterable[model.Route]:
        for message in self.ip.get_routes(family=2):
            table = message.get_attr("RTA_TABLE") or message["table"]
            if table == _LOCAL_TABLE or message["proto"] == _PROTOCOL_KERNEL or message["type"] not in _KINDS:
                continue
            interface = self.interfaces.get(message.get_attr("RTA_OIF"))
            if not self.owns_all and not self._is_planned(interface or ""):
                continue
            gateway, source = message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_PREFSRC")
            yield model.Route(
                # The destination of a default route, not an address to bind.
                destination=IPv4Network((message.get_attr("RTA_DST") or "0.0.0.0", message["dst_len"])),  # noqa: S104
                kind=_KINDS[message["type"]],  # type: ignore[arg-type]  # the kernel's type is one of _KINDS
                table=table,
                interface=interface,
                gateway=IPv4Address(gateway) if gateway else None,
                source=IPv4Address(source) if source else None,
            )

    def _route(self, command: str, route: model.Route) -> None:
        parameters: dict[str, Any] = {"dst": str(route.destination), "table": route.table, "type": route.kind}
        if route.interface is not None:
            parameters["oif"] = self.indexes[route.interface]
            if route.gateway is None:
                parameters["scope"] = _SCOPE_LINK
        if route.gateway is not None:
            parameters |= {"gateway": str(route.gateway), "flags": _ONLINK}
        if route.source is not None:
            parameters["prefsrc"] = str(route.source)
        self.ip.route(command, **parameters)

    def _rules(self) -> None:
        if not self.owns_all:
            return
        present = {
            model.Rule(interface=message.get_attr("FRA_IIFNAME") or "", table=message.get_attr("FRA_TABLE"))
            for message in self.ip.get_rules(family=2)
            if message.get_attr("FRA_PRIORITY") == _RULE_PRIORITY
        }
        wanted = set(self.plan.rules)
        for rule in present - wanted:
            self._log_change(f"delete rule for {rule.interface}")
            self.ip.rule("del", priority=_RULE_PRIORITY, iifname=rule.interface, table=rule.table)
        for rule in wanted - present:
            self._log_change(f"add rule for {rule.interface}")
            self.ip.rule("add", priority=_RULE_PRIORITY, iifname=rule.interface, table=rule.table)


def _in_order(sequence: Iterable[_T], chosen: set[_T]) -> list[_T]:
    """Return the chosen items in the plan's order, in which a route's source address and next hop come before it."""
    return [item for item in sequence if item in chosen]


def _text(route: model.Route) -> str:
    parts = [str(route.destination), route.kind if route.kind != "unicast" else ""]
    parts += [f"via {route.gateway}" if route.gateway else "", f"dev {route.interface}" if route.interface else ""]
    parts += [f"table {route.table}" if route.table != model.MAIN_TABLE else ""]
    return " ".join(part for part in parts if part)


@contextmanager
def _ignoring(code: int) -> Iterator[None]:
    """Ignore the kernel's error `code`: the item to delete was removed together with another."""
    try:
        yield
    except NetlinkError as error:
        if error.code != code:
            raise


def _set_sysctl(key: str, value: str) -> None:
    path = Path("/proc/sys", key)
    if path.exists() and path.read_text().strip() != value:
        path.write_text(value)
