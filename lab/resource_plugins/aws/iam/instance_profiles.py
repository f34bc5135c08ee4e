"""Instance profiles."""

from collections.abc import Mapping, Sequence

from lab.resource_plugins.aws.common import ignoring_errors, retry, tag_list, tagged, tags_read
from lab.resource_plugins.aws.iam.api import GONE, NAME, client, get_or_none, tags_argument
from lab.resource_plugins.base import Call, Input, Properties, Resource


def _create_profile(call: Call, inputs: Properties) -> str:
    name = inputs["name"]
    client(call).create_instance_profile(InstanceProfileName=name, Path=inputs["path"], **tags_argument(inputs))
    call.created(name)
    if inputs.get("role"):
        _add_role(call, name, inputs["role"])
    return str(name)


def _add_role(call: Call, name: str, role: str) -> None:
    retry(
        call,
        f"role {role} in instance profile {name}",
        lambda: client(call).add_role_to_instance_profile(InstanceProfileName=name, RoleName=role),
        {"InvalidParameterValue"},
    )


def _remove_role(call: Call, name: str, role: str) -> None:
    with ignoring_errors(GONE):
        client(call).remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)


def _read_profile(call: Call, name: str, _state: Properties) -> Properties | None:
    profile = get_or_none(client(call).get_instance_profile, "InstanceProfile", InstanceProfileName=name)
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
    with ignoring_errors(GONE):
        client(call).delete_instance_profile(InstanceProfileName=name)


def _retag_profile(call: Call, name: str, _state: Properties, removed: Sequence[str], added: Mapping[str, str]) -> None:
    if removed:
        client(call).untag_instance_profile(InstanceProfileName=name, TagKeys=removed)
    if added:
        client(call).tag_instance_profile(InstanceProfileName=name, Tags=tag_list(added))


INSTANCE_PROFILE = tagged(
    Resource(
        "aws:iam/instanceProfile:InstanceProfile",
        {"name": NAME, "path": Input(replaces=True, default="/"), "role": Input()},
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

RESOURCES = (INSTANCE_PROFILE,)
