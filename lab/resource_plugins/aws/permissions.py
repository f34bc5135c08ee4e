"""Converts the rules of a security group between a program's blocks and the API's permissions."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.resource_plugins.base import Properties

GROUP_GONE = ("InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound", "InvalidGroupId.Malformed")

_EVERYTHING = "-1"
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": _EVERYTHING}


def protocol_name(protocol: Any) -> str:
    """Return a protocol as AWS writes it: a name for TCP, UDP and ICMP, `-1` for all, otherwise its number."""
    text = str(protocol).lower()
    return _PROTOCOLS.get(text, text)


@dataclass(frozen=True)
class Direction:
    """One of the two directions of rules, with its API calls."""

    name: str
    permissions: str
    """Key of its permissions in the description of a group."""

    def authorize(self, api: Any, **arguments: Any) -> Any:
        """Add permissions."""
        return getattr(api, f"authorize_security_group_{self.name}")(**arguments)

    def revoke(self, api: Any, **arguments: Any) -> None:
        """Remove permissions."""
        getattr(api, f"revoke_security_group_{self.name}")(**arguments)


INGRESS = Direction("ingress", "IpPermissions")
EGRESS = Direction("egress", "IpPermissionsEgress")


def permission_of(rule: Properties, group_id: str) -> dict[str, Any]:
    """Return the API's permission for a block of a program; `group_id` stands for `self`."""
    protocol = protocol_name(rule["protocol"])
    description = {"Description": rule["description"]} if rule.get("description") else {}
    groups = [*(rule.get("securityGroups") or []), *([group_id] if rule.get("self") else [])]
    permission = {
        "IpProtocol": protocol,
        "IpRanges": [{"CidrIp": block, **description} for block in rule.get("cidrBlocks") or []],
        "Ipv6Ranges": [{"CidrIpv6": block, **description} for block in rule.get("ipv6CidrBlocks") or []],
        "PrefixListIds": [{"PrefixListId": each, **description} for each in rule.get("prefixListIds") or []],
        "UserIdGroupPairs": [{"GroupId": each, **description} for each in groups],
    }
    ports = {} if protocol == _EVERYTHING else {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    return {**ports, **{key: value for key, value in permission.items() if value}}


def blocks_of(permissions: Iterable[Properties], group_id: str) -> list[Properties]:
    """Return permissions as blocks of a program: one block for all sources with the same ports and description."""
    blocks: dict[tuple[Any, ...], Properties] = defaultdict(lambda: defaultdict(list))
    lists = {
        "cidrBlocks": ("IpRanges", "CidrIp"),
        "ipv6CidrBlocks": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListIds": ("PrefixListIds", "PrefixListId"),
        "securityGroups": ("UserIdGroupPairs", "GroupId"),
    }
    for each in permissions:
        ports = (each["IpProtocol"], each.get("FromPort", 0), each.get("ToPort", 0))
        for key, (container, value) in lists.items():
            for source in each.get(container, []):
                blocks[*ports, source.get("Description", "")][key].append(source[value])
    return [_block(key, sources, group_id) for key, sources in blocks.items()]


def _block(key: tuple[Any, ...], sources: Properties, group_id: str) -> Properties:
    protocol, from_port, to_port, description = key
    groups = sources.pop("securityGroups", [])
    own = {"self": True} if group_id in groups else {}
    others = [each for each in groups if each != group_id]
    return {
        "protocol": protocol,
        "fromPort": from_port,
        "toPort": to_port,
        "description": description,
        **sources,
        **({"securityGroups": others} if others else {}),
        **own,
    }


def _comparable(rule: Properties) -> Any:
    permission = permission_of({"fromPort": 0, "toPort": 0, **rule}, "self")
    return {key: sorted(map(str, value)) if isinstance(value, list) else value for key, value in permission.items()}


def same_rules(one: list[Properties], other: list[Properties]) -> bool:
    """Tell whether two lists of blocks allow the same."""

    def ordered(rules: list[Properties]) -> list[str]:
        return sorted(str(sorted(_comparable(rule).items())) for rule in rules)

    return ordered(one) == ordered(other)
