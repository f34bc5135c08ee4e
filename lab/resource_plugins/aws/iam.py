"""IAM roles, their policies, and instance profiles."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lab.resource_plugins.aws.kinds import (
    NEEDED,
    code_of,
    gone_is_fine,
    persistently,
    session_of,
    tag_list,
    tagged,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_GONE = "NoSuchEntity"
_CONFLICTS = {"DeleteConflict"}


def _iam(call: Call) -> Any:
    return session_of(call).client("iam")


def same_document(one: str, other: str) -> bool:
    """Tell whether two policy documents are the same JSON, a list of one being the same as its element."""
    try:
        return bool(_canonical(json.loads(one)) == _canonical(json.loads(other)))
    except (TypeError, ValueError):
        return one == other


def _canonical(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _canonical(item, name) for name, item in value.items()}
    if isinstance(value, list):
        items = [_canonical(item) for item in value]
        items = sorted(items, key=str) if key != "Statement" else items
        return items[0] if len(items) == 1 else items
    return value


POLICY = Input(required=True, same=same_document)
_NAME = Input(replaces=True, computed=True)


def _found(operation: Callable[..., Mapping[str, Any]], key: str, **arguments: Any) -> Any:
    """Return `key` of a call's answer; None when IAM knows no such thing."""
    try:
        return operation(**arguments)[key]
    except ClientError as error:
        if code_of(error) == _GONE:
            return None
        raise


def _optional(inputs: Properties, names: Mapping[str, str]) -> dict[str, Any]:
    return {name: inputs[key] for key, name in names.items() if inputs.get(key)}


def _tags(inputs: Properties) -> dict[str, Any]:
    return {"Tags": tag_list(inputs["tags"])} if inputs.get("tags") else {}


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


_ROLE_OPTIONS = {
    "description": "Description",
    "maxSessionDuration": "MaxSessionDuration",
    "permissionsBoundary": "PermissionsBoundary",
    "path": "Path",
}


def _create_role(call: Call, inputs: Properties) -> str:
    name = inputs["name"]
    arguments = {**_optional(inputs, _ROLE_OPTIONS), **_tags(inputs)}
    document = inputs["assumeRolePolicy"]
    persistently(
        call,
        f"role {name}",
        lambda: _iam(call).create_role(RoleName=name, AssumeRolePolicyDocument=document, **arguments),
        {"MalformedPolicyDocument"},
        text="Invalid principal",
    )
    call.created(name)
    _change_attached(call, name, [], inputs.get("managedPolicyArns") or [])
    return str(name)


def _change_attached(call: Call, name: str, old: Sequence[str], new: Sequence[str]) -> None:
    for arn in sorted(set(old) - set(new)):
        with gone_is_fine(_GONE):
            _iam(call).detach_role_policy(RoleName=name, PolicyArn=arn)
    for arn in sorted(set(new) - set(old)):
        _iam(call).attach_role_policy(RoleName=name, PolicyArn=arn)


def _read_role(call: Call, name: str, _state: Properties) -> Properties | None:
    role = _found(_iam(call).get_role, "Role", RoleName=name)
    if role is None:
        return None
    attached = _iam(call).list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        "arn": role["Arn"],
        "name": role["RoleName"],
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "assumeRolePolicy": _document(role["AssumeRolePolicyDocument"]),
        "description": role.get("Description", ""),
        "maxSessionDuration": role.get("MaxSessionDuration") or 3600,
        "path": role["Path"],
        "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", ""),
        "managedPolicyArns": [policy["PolicyArn"] for policy in attached],
        **tags_read(call, role.get("Tags")),
    }


def _update_role(call: Call, name: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    api = _iam(call)
    if "assumeRolePolicy" in changed:
        api.update_assume_role_policy(RoleName=name, PolicyDocument=inputs["assumeRolePolicy"])
    if changed & {"description", "maxSessionDuration"}:
        description, seconds = inputs.get("description") or "", inputs["maxSessionDuration"]
        api.update_role(RoleName=name, Description=description, MaxSessionDuration=seconds)
    if "permissionsBoundary" in changed:
        if inputs.get("permissionsBoundary"):
            api.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=inputs["permissionsBoundary"])
        else:
            api.delete_role_permissions_boundary(RoleName=name)
    if "managedPolicyArns" in changed:
        _change_attached(call, name, state.get("managedPolicyArns") or [], inputs.get("managedPolicyArns") or [])


def _delete_role(call: Call, name: str, state: Properties) -> None:
    api = _iam(call)
    with gone_is_fine(_GONE):
        for profile in api.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]:
            api.remove_role_from_instance_profile(InstanceProfileName=profile["InstanceProfileName"], RoleName=name)
        if state.get("forceDetachPolicies"):
            attached = api.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            _change_attached(call, name, [policy["PolicyArn"] for policy in attached], [])
            for policy in api.list_role_policies(RoleName=name)["PolicyNames"]:
                api.delete_role_policy(RoleName=name, PolicyName=policy)
        persistently(call, f"deletion of role {name}", lambda: api.delete_role(RoleName=name), _CONFLICTS)


def _retag_role(call: Call, name: str, _state: Properties, removed: Sequence[str], added: Mapping[str, str]) -> None:
    if removed:
        _iam(call).untag_role(RoleName=name, TagKeys=removed)
    if added:
        _iam(call).tag_role(RoleName=name, Tags=tag_list(added))


ROLE = tagged(
    Resource(
        "aws:iam/role:Role",
        {
            "name": _NAME,
            "assumeRolePolicy": POLICY,
            "description": Input(),
            "path": Input(replaces=True, default="/"),
            "maxSessionDuration": Input(default=3600),
            "forceDetachPolicies": Input(default=False, ignored=True),
            "permissionsBoundary": Input(),
            "managedPolicyArns": Input(computed=True, unordered=True),
        },
        _create_role,
        _read_role,
        _update_role,
        _delete_role,
        outputs=("arn", "createDate", "uniqueId"),
        auto_name="name",
        name_length=64,
        # IAM answers at once whether something hangs on the role; a policy deleted a moment ago may still be seen.
        timeout=120,
    ),
    _retag_role,
)


def _put_policy(call: Call, inputs: Properties) -> str:
    role, name = inputs["role"], inputs["name"]
    _iam(call).put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=inputs["policy"])
    return f"{role}:{name}"


def _read_policy(call: Call, resource_id: str, _state: Properties) -> Properties | None:
    role, name = resource_id.split(":", 1)
    try:
        found = _iam(call).get_role_policy(RoleName=role, PolicyName=name)
    except ClientError as error:
        if code_of(error) == _GONE:
            return None
        raise
    return {"role": found["RoleName"], "name": found["PolicyName"], "policy": _document(found["PolicyDocument"])}


def _update_policy(call: Call, _id: str, _state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    _put_policy(call, inputs)


def _delete_policy(call: Call, resource_id: str, _state: Properties) -> None:
    role, name = resource_id.split(":", 1)
    with gone_is_fine(_GONE):
        _iam(call).delete_role_policy(RoleName=role, PolicyName=name)


ROLE_POLICY = Resource(
    "aws:iam/rolePolicy:RolePolicy",
    {"name": _NAME, "role": NEEDED, "policy": POLICY},
    _put_policy,
    _read_policy,
    _update_policy,
    _delete_policy,
    auto_name="name",
    name_length=128,
)


def _create_profile(call: Call, inputs: Properties) -> str:
    name = inputs["name"]
    _iam(call).create_instance_profile(InstanceProfileName=name, Path=inputs["path"], **_tags(inputs))
    call.created(name)
    if inputs.get("role"):
        _add_role(call, name, inputs["role"])
    return str(name)


def _add_role(call: Call, name: str, role: str) -> None:
    persistently(
        call,
        f"role {role} in instance profile {name}",
        lambda: _iam(call).add_role_to_instance_profile(InstanceProfileName=name, RoleName=role),
        {"InvalidParameterValue"},
    )


def _remove_role(call: Call, name: str, role: str) -> None:
    with gone_is_fine(_GONE):
        _iam(call).remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)


def _read_profile(call: Call, name: str, _state: Properties) -> Properties | None:
    profile = _found(_iam(call).get_instance_profile, "InstanceProfile", InstanceProfileName=name)
    if profile is None:
        return None
    return {
        "arn": profile["Arn"],
        "name": profile["InstanceProfileName"],
        "uniqueId": profile["InstanceProfileId"],
        "createDate": profile["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "path": profile["Path"],
        "role": profile["Roles"][0]["RoleName"] if profile["Roles"] else None,
        **tags_read(call, profile.get("Tags")),
    }


def _update_profile(call: Call, name: str, state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    if state.get("role"):
        _remove_role(call, name, state["role"])
    if inputs.get("role"):
        _add_role(call, name, inputs["role"])


def _delete_profile(call: Call, name: str, state: Properties) -> None:
    if state.get("role"):
        _remove_role(call, name, state["role"])
    with gone_is_fine(_GONE):
        _iam(call).delete_instance_profile(InstanceProfileName=name)


def _retag_profile(call: Call, name: str, _state: Properties, removed: Sequence[str], added: Mapping[str, str]) -> None:
    if removed:
        _iam(call).untag_instance_profile(InstanceProfileName=name, TagKeys=removed)
    if added:
        _iam(call).tag_instance_profile(InstanceProfileName=name, Tags=tag_list(added))


INSTANCE_PROFILE = tagged(
    Resource(
        "aws:iam/instanceProfile:InstanceProfile",
        {"name": _NAME, "path": Input(replaces=True, default="/"), "role": Input()},
        _create_profile,
        _read_profile,
        _update_profile,
        _delete_profile,
        outputs=("arn", "createDate", "uniqueId"),
        auto_name="name",
        name_length=128,
        timeout=120,
    ),
    _retag_profile,
)


def _create_attachment(call: Call, inputs: Properties) -> str:
    role, arn = inputs["role"], inputs["policyArn"]
    _iam(call).attach_role_policy(RoleName=role, PolicyArn=arn)
    return f"{role}/{arn}"


def _read_attachment(call: Call, resource_id: str, _state: Properties) -> Properties | None:
    role, arn = resource_id.split("/", 1)
    attached = _found(_iam(call).list_attached_role_policies, "AttachedPolicies", RoleName=role) or []
    return {"role": role, "policyArn": arn} if any(policy["PolicyArn"] == arn for policy in attached) else None


def _delete_attachment(call: Call, resource_id: str, _state: Properties) -> None:
    role, arn = resource_id.split("/", 1)
    with gone_is_fine(_GONE):
        _iam(call).detach_role_policy(RoleName=role, PolicyArn=arn)


ROLE_POLICY_ATTACHMENT = Resource(
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    {"role": NEEDED, "policyArn": NEEDED},
    _create_attachment,
    _read_attachment,
    delete=_delete_attachment,
)

RESOURCES = (ROLE, ROLE_POLICY, INSTANCE_PROFILE, ROLE_POLICY_ATTACHMENT)
