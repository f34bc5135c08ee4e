"""IAM roles."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.resource_plugins.aws.common import ignoring_errors, retry, tag_list, tagged, tags_read
from lab.resource_plugins.aws.iam.api import GONE, NAME, client, get_or_none, tags_argument
from lab.resource_plugins.aws.iam.documents import POLICY, document_text
from lab.resource_plugins.base import Call, Input, Properties, Resource

_CONFLICTS = {"DeleteConflict"}


def _optional(inputs: Properties, names: Mapping[str, str]) -> dict[str, Any]:
    return {name: inputs[key] for key, name in names.items() if inputs.get(key)}


_ROLE_OPTIONS = {
    "description": "Description",
    "maxSessionDuration": "MaxSessionDuration",
    "permissionsBoundary": "PermissionsBoundary",
    "path": "Path",
}


def _create_role(call: Call, inputs: Properties) -> str:
    name = inputs["name"]
    arguments = {**_optional(inputs, _ROLE_OPTIONS), **tags_argument(inputs)}
    document = inputs["assumeRolePolicy"]
    retry(
        call,
        f"role {name}",
        lambda: client(call).create_role(RoleName=name, AssumeRolePolicyDocument=document, **arguments),
        {"MalformedPolicyDocument"},
        text="Invalid principal",
    )
    call.created(name)
    _change_attached(call, name, [], inputs.get("managedPolicyArns") or [])
    return str(name)


def _change_attached(call: Call, name: str, old: Sequence[str], new: Sequence[str]) -> None:
    for arn in sorted(set(old) - set(new)):
        with ignoring_errors(GONE):
            client(call).detach_role_policy(RoleName=name, PolicyArn=arn)
    for arn in sorted(set(new) - set(old)):
        client(call).attach_role_policy(RoleName=name, PolicyArn=arn)


def _read_role(call: Call, name: str, _state: Properties) -> Properties | None:
    role = get_or_none(client(call).get_role, "Role", RoleName=name)
    if role is None:
        return None
    attached = client(call).list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        "arn": role["Arn"],
        "name": role["RoleName"],
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "assumeRolePolicy": document_text(role["AssumeRolePolicyDocument"]),
        "description": role.get("Description", ""),
        "maxSessionDuration": role.get("MaxSessionDuration") or 3600,
        "path": role["Path"],
        "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", ""),
        "managedPolicyArns": [policy["PolicyArn"] for policy in attached],
        **tags_read(call, role.get("Tags")),
    }


def _update_role(call: Call, name: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    api = client(call)
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
    api = client(call)
    with ignoring_errors(GONE):
        for profile in api.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"]:
            api.remove_role_from_instance_profile(InstanceProfileName=profile["InstanceProfileName"], RoleName=name)
        if state.get("forceDetachPolicies"):
            attached = api.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            _change_attached(call, name, [policy["PolicyArn"] for policy in attached], [])
            for policy in api.list_role_policies(RoleName=name)["PolicyNames"]:
                api.delete_role_policy(RoleName=name, PolicyName=policy)
        retry(call, f"deletion of role {name}", lambda: api.delete_role(RoleName=name), _CONFLICTS)


def _retag_role(call: Call, name: str, _state: Properties, removed: Sequence[str], added: Mapping[str, str]) -> None:
    if removed:
        client(call).untag_role(RoleName=name, TagKeys=removed)
    if added:
        client(call).tag_role(RoleName=name, Tags=tag_list(added))


ROLE = tagged(
    Resource(
        "aws:iam/role:Role",
        {
            "name": NAME,
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
        # IAM refuses at once to delete a role with policies, and may still see a policy that was just deleted.
        timeout=120,
    ),
    _retag_role,
)

RESOURCES = (ROLE,)
