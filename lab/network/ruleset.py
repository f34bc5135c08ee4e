"""A VPC -> its nftables ruleset, one text. Pure.

These rules of the VPC's router (nft(8)) emulate what AWS enforces around an instance: the source/destination check,
security groups (stateful, by connection tracking) and the Internet gateway's one-to-one translation. `flush table` and
the new text replace all rules in one transaction; the counters of dropped packets keep their values.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from lab.network.names import UPLINK
from lab.world import NetworkInterface, SecurityGroupRule, Vpc

COUNTERS = (
    "source_check",
    "destination_check",
    "security_group_egress",
    "security_group_ingress",
    "no_elastic_ip",
    "unknown_elastic_ip",
    "metadata_spoofed",
    "router_service",
)
"""The counters of dropped packets, one for each reason; `nft list counters` shows them."""

TABLE = "lab"
METADATA_ADDRESS = IPv4Address("169.254.169.254")

_ICMP = 1
_PROTOCOLS_WITH_PORTS = (6, 17, 33, 132, 136)
_ALL_PORTS = (0, 65535)
_ANYWHERE = IPv4Network("0.0.0.0/0")


def render(vpc: Vpc, ports: Mapping[str, str]) -> str:
    """Return the text for `nft -f`; `ports` maps each ENI that has a machine to its interface on the router."""
    attached = [interface for interface in vpc.network_interfaces if interface.id in ports]
    chains = {
        "raw": ["type filter hook prerouting priority raw; policy accept;", *_raw(vpc, attached, ports)],
        "input": ["type filter hook input priority filter; policy drop;", *_input(attached, ports)],
        "forward": ["type filter hook forward priority filter; policy drop;", *_forward(vpc, attached, ports)],
        "egress": [*_security_group_rules(vpc, attached, ports, is_egress=True), _drop("security_group_egress")],
        "ingress": [*_security_group_rules(vpc, attached, ports, is_egress=False), _drop("security_group_ingress")],
        "elastic_ip_in": ["type nat hook prerouting priority dstnat; policy accept;", *_translate_in(vpc)],
        "elastic_ip_out": ["type nat hook postrouting priority srcnat; policy accept;", *_translate_out(vpc)],
    }
    blocks = [f"  counter {counter} {{ }}" for counter in COUNTERS]
    blocks += [
        f"  chain {name} {{\n" + "".join(f"    {rule}\n" for rule in rules) + "  }" for name, rules in chains.items()
    ]
    body = "\n".join(blocks)
    return f"table ip {TABLE}\nflush table ip {TABLE}\ntable ip {TABLE} {{\n{body}\n}}\n{hop_compensation()}"


def translations(vpc: Vpc) -> frozenset[tuple[IPv4Address, IPv4Address]]:
    """Return the pairs of (Elastic IP, private address) in force: none without an Internet gateway."""
    if vpc.internet_gateway_id is None:
        return frozenset()
    return frozenset((eni.public_ip, eni.private_ip) for eni in vpc.network_interfaces if eni.public_ip is not None)


def hop_compensation() -> str:
    """Return a table that cancels the router's decrement of the TTL: AWS's routers do not lower it.

    nft has no arithmetic, so a verdict map with one look-up raises the TTL. It does so before the router lowers it:
    a packet with TTL 1 passes too, and no traceroute shows the router. 255 cannot be raised; it is restored afterwards.
    """
    steps = range(1, 255)
    lines = ["table ip hops", "flush table ip hops", "table ip hops {"]
    lines += [f"  chain from_{ttl} {{\n    ip ttl set {ttl + 1}\n  }}" for ttl in steps]
    lines += [
        "  chain prerouting {\n    type filter hook prerouting priority raw - 10; policy accept;",
        "    ip ttl 255 meta mark set 255",
        "    ip ttl vmap { " + ", ".join(f"{ttl} : goto from_{ttl}" for ttl in steps) + " }\n  }",
        "  chain forward {\n    type filter hook forward priority filter + 10; policy accept;",
        "    meta mark 255 ip ttl set 255\n  }\n}\n",
    ]
    return "\n".join(lines)


def _raw(vpc: Vpc, attached: Sequence[NetworkInterface], ports: Mapping[str, str]) -> list[str]:
    rules = []
    for interface in attached:
        if interface.source_dest_check:
            port = _quoted(ports[interface.id])
            rules.append(f"iifname {port} ip saddr 0.0.0.0 udp dport 67 accept")
            rules.append(f"iifname {port} ip saddr != {interface.private_ip} {_drop('source_check')}")
    public = [str(elastic_ip) for elastic_ip, _ in sorted(translations(vpc))]
    match = f"ip daddr != {_set(public)} " if public else ""
    return [*rules, f"iifname {_quoted(UPLINK)} {match}{_drop('unknown_elastic_ip')}"]


def _input(attached: Sequence[NetworkInterface], ports: Mapping[str, str]) -> list[str]:
    # Security groups do not filter AWS's own services: DHCP, DNS and metadata. Nothing else on the router answers.
    rules = ['iifname "lo" accept']
    for interface in attached:
        # The metadata service identifies its callers only by their source address.
        port = _quoted(ports[interface.id])
        rules.append(
            f"iifname {port} ip daddr {METADATA_ADDRESS} ip saddr != {interface.private_ip} {_drop('metadata_spoofed')}"
        )
    return [
        *rules,
        f"iifname {_quoted(UPLINK)} {_drop('router_service')}",
        # 68: the DHCP server receives its own broadcasts.
        "udp dport { 53, 67, 68 } accept",
        "tcp dport 53 accept",
        f"ip daddr {METADATA_ADDRESS} tcp dport 80 accept",
        "ct state established,related accept",
        _drop("router_service"),
    ]


def _forward(vpc: Vpc, attached: Sequence[NetworkInterface], ports: Mapping[str, str]) -> list[str]:
    uplink = _quoted(UPLINK)
    private = [str(private_ip) for _, private_ip in sorted(translations(vpc))]
    match = f"ip saddr != {_set(private)} " if private else ""
    return [
        # These two come before connection tracking, because they apply to replies as well.
        *(
            f"oifname {_quoted(ports[interface.id])} ip daddr != {interface.private_ip} {_drop('destination_check')}"
            for interface in attached
            if interface.source_dest_check
        ),
        f"oifname {uplink} {match}{_drop('no_elastic_ip')}",
        "ct state established,related accept",
        f"iifname != {uplink} jump egress",
        f"oifname != {uplink} jump ingress",
        "accept",
    ]


def _translate_in(vpc: Vpc) -> list[str]:
    pairs = sorted(translations(vpc))
    elements = ", ".join(f"{elastic_ip} : {private_ip}" for elastic_ip, private_ip in pairs)
    return [f"iifname {_quoted(UPLINK)} dnat to ip daddr map {{ {elements} }}"] if pairs else []


def _translate_out(vpc: Vpc) -> list[str]:
    pairs = sorted(translations(vpc))
    elements = ", ".join(f"{private_ip} : {elastic_ip}" for elastic_ip, private_ip in pairs)
    return [f"oifname {_quoted(UPLINK)} snat to ip saddr map {{ {elements} }}"] if pairs else []


def _security_group_rules(
    vpc: Vpc, attached: Sequence[NetworkInterface], ports: Mapping[str, str], *, is_egress: bool
) -> list[str]:
    lines = []
    for group in vpc.security_groups:
        members = sorted(_quoted(ports[eni.id]) for eni in attached if group.id in eni.security_group_ids)
        if not members:
            continue
        for rule in group.rules:
            peers = _peers(rule, vpc)
            if rule.is_egress == is_egress and peers:
                direction, peer = ("iifname", "daddr") if is_egress else ("oifname", "saddr")
                match = "" if peers == [str(_ANYWHERE)] else f"ip {peer} {_set(peers)} "
                lines.append(f"{direction} {_set(members)} {match}{_protocol(rule)}return")
    return lines


def _peers(rule: SecurityGroupRule, vpc: Vpc) -> list[str]:
    """Return the rule's range, or the addresses of the members of the group that it references."""
    if rule.cidr_block is not None:
        return [str(rule.cidr_block)]
    return sorted(
        str(interface.private_ip)
        for interface in vpc.network_interfaces
        if rule.referenced_group_id in interface.security_group_ids
    )


def _protocol(rule: SecurityGroupRule) -> str:
    if rule.protocol == -1:
        return ""
    if rule.protocol == _ICMP:
        kind = f"icmp type {rule.from_port} " if rule.from_port != -1 else ""
        code = f"icmp code {rule.to_port} " if kind and rule.to_port != -1 else ""
        return kind + code or f"ip protocol {_ICMP} "
    match = f"ip protocol {rule.protocol} "
    if (
        rule.protocol not in _PROTOCOLS_WITH_PORTS
        or rule.from_port == -1
        or (rule.from_port, rule.to_port) == _ALL_PORTS
    ):
        return match
    return f"{match}th dport {rule.from_port}-{rule.to_port} "


def _drop(counter: str) -> str:
    return f"counter name {_quoted(counter)} drop"


def _set(elements: Iterable[str]) -> str:
    return "{ " + ", ".join(elements) + " }"


def _quoted(name: str) -> str:
    return f'"{name}"'
