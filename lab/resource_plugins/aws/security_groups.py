"""Security groups, with rules inside them or as resources of their own."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.resource_plugins.aws.kinds import (
    FIXED_CHOSEN,
    NEEDED,
    ec2,
    ec2_resource,
    filters,
    first,
    gone_is_fine,
    persistently,
    region_of,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_GROUP_GONE = ("InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound", "InvalidGroupId.Malformed")
_RULE_GONE = ("InvalidSecurityGroupRuleId.NotFound", *_GROUP_GONE)
_IN_USE = {"DependencyViolation", "InvalidGroup.InUse"}

_EVERYTHING = "-1"
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": _EVERYTHING}
_WITH_PORTS = frozenset({"tcp", "udp", "icmp", "icmpv6"})


def protocol_name(protocol: Any) -> str:
    """Return a protocol as AWS writes it: a name for TCP, UDP and ICMP, `-1` for all, else its number."""
    text = str(protocol).lower()
    return _PROTOCOLS.get(text, text)


def _same_protocol(one: Any, other: Any) -> bool:
    return protocol_name(one) == protocol_name(other)


@dataclass(frozen=True)
class _Direction:
    """One of the two directions of rules, and its API calls' names."""

    name: str
    permissions: str

    def authorize(self, api: Any, **arguments: Any) -> Any:
        return getattr(api, f"authorize_security_group_{self.name}")(**arguments)

    def revoke(self, api: Any, **arguments: Any) -> None:
        getattr(api, f"revoke_security_group_{self.name}")(**arguments)


_INGRESS = _Direction("ingress", "IpPermissions")
_EGRESS = _Direction("egress", "IpPermissionsEgress")
_DIRECTIONS = (_INGRESS, _EGRESS)


def _group(api: Any, group_id: str) -> Properties | None:
    return first(api.describe_security_groups, "SecurityGroups", _GROUP_GONE, GroupIds=[group_id])


def _create_group(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    made = api.create_security_group(
        GroupName=inputs["name"],
        Description=inputs["description"],
        **({"VpcId": inputs["vpcId"]} if inputs.get("vpcId") else {}),
        **tag_specifications("security-group", inputs.get("tags")),
    )
    group_id = call.created(made["GroupId"])
    group: Properties = call.wait_until(f"security group {group_id}", lambda: _group(api, group_id))
    # The provider takes away AWS's "allow all outgoing", so that only what the program says is allowed.
    if group["IpPermissionsEgress"]:
        _EGRESS.revoke(api, GroupId=group_id, IpPermissions=group["IpPermissionsEgress"])
    for direction in _DIRECTIONS:
        _change_rules(api, group_id, direction, [], inputs.get(direction.name) or [])
    return group_id


def _change_rules(
    api: Any, group_id: str, direction: _Direction, old: Iterable[Properties], new: Iterable[Properties]
) -> None:
    before = [_permission(rule, group_id) for rule in old]
    after = [_permission(rule, group_id) for rule in new]
    removed = [each for each in before if each not in after]
    added = [each for each in after if each not in before]
    if removed:
        direction.revoke(api, GroupId=group_id, IpPermissions=removed)
    if added:
        direction.authorize(api, GroupId=group_id, IpPermissions=added)


def _permission(rule: Properties, group_id: str) -> dict[str, Any]:
    protocol = protocol_name(rule["protocol"])
    said = {"Description": rule["description"]} if rule.get("description") else {}
    groups = [*(rule.get("securityGroups") or []), *([group_id] if rule.get("self") else [])]
    permission = {
        "IpProtocol": protocol,
        "IpRanges": [{"CidrIp": block, **said} for block in rule.get("cidrBlocks") or []],
        "Ipv6Ranges": [{"CidrIpv6": block, **said} for block in rule.get("ipv6CidrBlocks") or []],
        "PrefixListIds": [{"PrefixListId": each, **said} for each in rule.get("prefixListIds") or []],
        "UserIdGroupPairs": [{"GroupId": each, **said} for each in groups],
    }
    ports = {} if protocol == _EVERYTHING else {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    return {**ports, **{key: value for key, value in permission.items() if value}}


def _rules(permissions: Iterable[Properties], group_id: str) -> list[Properties]:
    """Return permissions as the blocks of a program: one for all sources with the same ports and description."""
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


def _read_group(call: Call, group_id: str, state: Properties) -> Properties | None:
    group = _group(ec2(call, state), group_id)
    if group is None:
        return None
    owner = group["OwnerId"]
    return {
        "arn": session_of(call).arn("ec2", f"security-group/{group_id}", region=region_of(call, state), account=owner),
        "ownerId": owner,
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group.get("VpcId"),
        **{each.name: _rules(group[each.permissions], group_id) for each in _DIRECTIONS},
        **tags_read(call, group.get("Tags")),
    }


def _update_group(call: Call, group_id: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    for direction in _DIRECTIONS:
        if direction.name in changed:
            old, new = state.get(direction.name) or [], inputs.get(direction.name) or []
            _change_rules(ec2(call, state), group_id, direction, old, new)


def _delete_group(call: Call, group_id: str, state: Properties) -> None:
    api = ec2(call, state)
    with gone_is_fine(*_GROUP_GONE):
        if state.get("revokeRulesOnDelete"):
            for direction in _DIRECTIONS:
                permissions = (_group(api, group_id) or {}).get(direction.permissions)
                if permissions:
                    direction.revoke(api, GroupId=group_id, IpPermissions=permissions)
        persistently(call, f"deletion of {group_id}", lambda: api.delete_security_group(GroupId=group_id), _IN_USE)


def _comparable(rule: Properties) -> Any:
    permission = _permission({"fromPort": 0, "toPort": 0, **rule}, "self")
    return {key: sorted(map(str, value)) if isinstance(value, list) else value for key, value in permission.items()}


def _same_rules(one: list[Properties], other: list[Properties]) -> bool:
    """Compare two sets of inline rules by what they allow."""

    def ordered(rules: list[Properties]) -> list[str]:
        return sorted(str(sorted(_comparable(rule).items())) for rule in rules)

    return ordered(one) == ordered(other)


SECURITY_GROUP = ec2_resource(
    Resource(
        "aws:ec2/securityGroup:SecurityGroup",
        {
            "name": Input(replaces=True, computed=True),
            "description": Input(replaces=True, default="Managed by Pulumi"),
            "vpcId": FIXED_CHOSEN,
            "ingress": Input(computed=True, same=_same_rules),
            "egress": Input(computed=True, same=_same_rules),
            "revokeRulesOnDelete": Input(default=False, ignored=True),
        },
        _create_group,
        _read_group,
        _update_group,
        _delete_group,
        outputs=("arn", "ownerId"),
        auto_name="name",
        timeout=900,
    )
)

_RULE_SOURCES = {
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupId",
}


def _check_rule(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    given = [key for key in _RULE_SOURCES if inputs.get(key)]
    if len(given) != 1:
        return [(given[0] if given else "cidrIpv4", f"a rule has exactly one of {list(_RULE_SOURCES)}; given: {given}")]
    return inputs


def _rule_permission(inputs: Properties) -> dict[str, Any]:
    said = {"Description": inputs["description"]} if inputs.get("description") else {}
    containers = {
        "cidrIpv4": ("IpRanges", "CidrIp"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    }
    sources = {
        container: [{name: inputs[key], **said}] for key, (container, name) in containers.items() if inputs.get(key)
    }
    return {"IpProtocol": inputs["ipProtocol"], **_ports(inputs), **sources}


def _ports(inputs: Properties) -> dict[str, int]:
    names = {"fromPort": "FromPort", "toPort": "ToPort"}
    return {name: inputs[key] for key, name in names.items() if inputs.get(key) is not None}


def _rule_resource(direction: _Direction) -> Resource:
    def create(call: Call, inputs: Properties) -> str:
        made = direction.authorize(
            ec2(call, inputs),
            GroupId=inputs["securityGroupId"],
            IpPermissions=[_rule_permission(inputs)],
            **tag_specifications("security-group-rule", inputs.get("tags")),
        )
        return call.created(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def delete(call: Call, rule_id: str, state: Properties) -> None:
        with gone_is_fine("InvalidPermission.NotFound", *_RULE_GONE):
            direction.revoke(ec2(call, state), GroupId=state["securityGroupId"], SecurityGroupRuleIds=[rule_id])

    kind = f"securityGroup{direction.name.capitalize()}Rule"
    return ec2_resource(
        Resource(
            f"aws:vpc/{kind}:{kind[0].upper()}{kind[1:]}",
            {
                "securityGroupId": NEEDED,
                "ipProtocol": Input(required=True, same=_same_protocol),
                "fromPort": Input(),
                "toPort": Input(),
                "description": Input(),
                **{key: Input() for key in _RULE_SOURCES},
            },
            create,
            _read_rule,
            _update_rule,
            delete,
            outputs=("arn", "securityGroupRuleId"),
            check=_check_rule,
        )
    )


def _read_rule(call: Call, rule_id: str, state: Properties) -> Properties | None:
    api = ec2(call, state)
    wanted = filters(security_group_rule_id=rule_id)
    rule = first(api.describe_security_group_rules, "SecurityGroupRules", _RULE_GONE, Filters=wanted)
    if rule is None:
        return None
    owner = rule.get("GroupOwnerId") or session_of(call).account
    ports = protocol_name(rule["IpProtocol"]) in _WITH_PORTS
    resource = f"security-group-rule/{rule_id}"
    return {
        "arn": session_of(call).arn("ec2", resource, region=region_of(call, state), account=owner),
        "securityGroupRuleId": rule_id,
        "securityGroupId": rule["GroupId"],
        "ipProtocol": rule["IpProtocol"],
        # AWS answers -1 for protocols that have no ports, whatever was asked for.
        "fromPort": rule.get("FromPort") if ports else state.get("fromPort"),
        "toPort": rule.get("ToPort") if ports else state.get("toPort"),
        "description": rule.get("Description"),
        "cidrIpv4": rule.get("CidrIpv4"),
        "cidrIpv6": rule.get("CidrIpv6"),
        "prefixListId": rule.get("PrefixListId"),
        "referencedSecurityGroupId": (rule.get("ReferencedGroupInfo") or {}).get("GroupId"),
        **tags_read(call, rule.get("Tags")),
    }


def _update_rule(call: Call, rule_id: str, state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    sources = {name: inputs[key] for key, name in _RULE_SOURCES.items() if inputs.get(key)}
    rule = {
        "IpProtocol": inputs["ipProtocol"],
        **_ports(inputs),
        **sources,
        **({"Description": inputs["description"]} if inputs.get("description") else {}),
    }
    ec2(call, state).modify_security_group_rules(
        GroupId=state["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": rule}],
    )


RESOURCES = (SECURITY_GROUP, _rule_resource(_INGRESS), _rule_resource(_EGRESS))
