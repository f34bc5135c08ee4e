"""Security group rules as separate resources."""

from typing import Any

from lab.resource_plugins.aws.common import (
    NEEDED,
    ec2,
    ec2_resource,
    filters,
    first,
    ignoring_errors,
    region_of,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.aws.permissions import EGRESS, GROUP_GONE, INGRESS, Direction, protocol_name
from lab.resource_plugins.base import Call, Input, Properties, Resource

_RULE_GONE = ("InvalidSecurityGroupRuleId.NotFound", *GROUP_GONE)
_WITH_PORTS = frozenset({"tcp", "udp", "icmp", "icmpv6"})


def _same_protocol(one: Any, other: Any) -> bool:
    return protocol_name(one) == protocol_name(other)


_RULE_SOURCES = {
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "prefixListId": "PrefixListId",
    "referencedSecurityGroupId": "ReferencedGroupId",
}


def _check_rule(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    set_keys = [key for key in _RULE_SOURCES if inputs.get(key)]
    if len(set_keys) != 1:
        return [(set_keys[0] if set_keys else "cidrIpv4", f"set exactly one of {list(_RULE_SOURCES)}, not {set_keys}")]
    return inputs


def _rule_permission(inputs: Properties) -> dict[str, Any]:
    description = {"Description": inputs["description"]} if inputs.get("description") else {}
    containers = {
        "cidrIpv4": ("IpRanges", "CidrIp"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    }
    sources = {
        container: [{name: inputs[key], **description}]
        for key, (container, name) in containers.items()
        if inputs.get(key)
    }
    return {"IpProtocol": inputs["ipProtocol"], **_ports(inputs), **sources}


def _ports(inputs: Properties) -> dict[str, int]:
    names = {"fromPort": "FromPort", "toPort": "ToPort"}
    return {name: inputs[key] for key, name in names.items() if inputs.get(key) is not None}


def _rule_resource(direction: Direction) -> Resource:
    def create(call: Call, inputs: Properties) -> str:
        response = direction.authorize(
            ec2(call, inputs),
            GroupId=inputs["securityGroupId"],
            IpPermissions=[_rule_permission(inputs)],
            **tag_specifications("security-group-rule", inputs.get("tags")),
        )
        return call.created(response["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def delete(call: Call, rule_id: str, state: Properties) -> None:
        with ignoring_errors("InvalidPermission.NotFound", *_RULE_GONE):
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
    by_id = filters(security_group_rule_id=rule_id)
    rule = first(api.describe_security_group_rules, "SecurityGroupRules", _RULE_GONE, Filters=by_id)
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
        # For protocols without ports AWS returns -1 for any requested ports.
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


RESOURCES = (_rule_resource(INGRESS), _rule_resource(EGRESS))
