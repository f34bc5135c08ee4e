"""Security groups, with the rules inside them."""

from collections.abc import Iterable
from typing import Any

from lab.resource_plugins.aws.common import (
    FIXED_CHOSEN,
    ec2,
    ec2_resource,
    first,
    ignoring_errors,
    region_of,
    retry,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.aws.permissions import (
    EGRESS,
    GROUP_GONE,
    INGRESS,
    Direction,
    blocks_of,
    permission_of,
    same_rules,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_IN_USE = {"DependencyViolation", "InvalidGroup.InUse"}
_DIRECTIONS = (INGRESS, EGRESS)


def _group(api: Any, group_id: str) -> Properties | None:
    return first(api.describe_security_groups, "SecurityGroups", GROUP_GONE, GroupIds=[group_id])


def _create_group(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    response = api.create_security_group(
        GroupName=inputs["name"],
        Description=inputs["description"],
        **({"VpcId": inputs["vpcId"]} if inputs.get("vpcId") else {}),
        **tag_specifications("security-group", inputs.get("tags")),
    )
    group_id = call.created(response["GroupId"])
    group: Properties = call.wait_until(f"security group {group_id}", lambda: _group(api, group_id))
    # As the real provider does: remove AWS's default "allow all outgoing", so that only the program's rules apply.
    if group["IpPermissionsEgress"]:
        EGRESS.revoke(api, GroupId=group_id, IpPermissions=group["IpPermissionsEgress"])
    for direction in _DIRECTIONS:
        _change_rules(api, group_id, direction, [], inputs.get(direction.name) or [])
    return group_id


def _change_rules(
    api: Any, group_id: str, direction: Direction, old: Iterable[Properties], new: Iterable[Properties]
) -> None:
    before = [permission_of(rule, group_id) for rule in old]
    after = [permission_of(rule, group_id) for rule in new]
    removed = [each for each in before if each not in after]
    added = [each for each in after if each not in before]
    if removed:
        direction.revoke(api, GroupId=group_id, IpPermissions=removed)
    if added:
        direction.authorize(api, GroupId=group_id, IpPermissions=added)


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
        **{each.name: blocks_of(group[each.permissions], group_id) for each in _DIRECTIONS},
        **tags_read(call, group.get("Tags")),
    }


def _update_group(call: Call, group_id: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    for direction in _DIRECTIONS:
        if direction.name in changed:
            old, new = state.get(direction.name) or [], inputs.get(direction.name) or []
            _change_rules(ec2(call, state), group_id, direction, old, new)


def _delete_group(call: Call, group_id: str, state: Properties) -> None:
    api = ec2(call, state)
    with ignoring_errors(*GROUP_GONE):
        if state.get("revokeRulesOnDelete"):
            for direction in _DIRECTIONS:
                permissions = (_group(api, group_id) or {}).get(direction.permissions)
                if permissions:
                    direction.revoke(api, GroupId=group_id, IpPermissions=permissions)
        retry(call, f"deletion of {group_id}", lambda: api.delete_security_group(GroupId=group_id), _IN_USE)


SECURITY_GROUP = ec2_resource(
    Resource(
        "aws:ec2/securityGroup:SecurityGroup",
        {
            "name": Input(replaces=True, computed=True),
            "description": Input(replaces=True, default="Managed by Pulumi"),
            "vpcId": FIXED_CHOSEN,
            "ingress": Input(computed=True, same=same_rules),
            "egress": Input(computed=True, same=same_rules),
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

RESOURCES = (SECURITY_GROUP,)
