"""SSM parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lab.resource_plugins.aws.common import (
    CHOSEN,
    code_of,
    first,
    ignoring_errors,
    region_of,
    regional,
    session_of,
    tag_list,
    tagged,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_GONE = "ParameterNotFound"
_VALUES = ("value", "insecureValue", "valueWo")


def _ssm(call: Call, properties: Properties) -> Any:
    return session_of(call).client("ssm", region_of(call, properties))


def _check(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    set_keys = [key for key in _VALUES if key in inputs]
    if len(set_keys) != 1:
        return [(set_keys[0] if set_keys else "value", f"set exactly one of {list(_VALUES)}, not {set_keys}")]
    if inputs.get("type") == "SecureString" and set_keys == ["insecureValue"]:
        return [("insecureValue", "a SecureString must not be plain; use 'value' or 'valueWo'")]
    return inputs


def _put(call: Call, inputs: Properties, **arguments: Any) -> None:
    names = {
        "description": "Description",
        "allowedPattern": "AllowedPattern",
        "dataType": "DataType",
        "keyId": "KeyId",
        "tier": "Tier",
    }
    _ssm(call, inputs).put_parameter(
        Name=inputs["name"],
        Type=inputs["type"],
        Value=next(inputs[key] for key in _VALUES if key in inputs),
        **{name: inputs[key] for key, name in names.items() if inputs.get(key)},
        **arguments,
    )


def _create(call: Call, inputs: Properties) -> str:
    overwrite = bool(inputs.get("overwrite"))
    # AWS does not accept tags together with Overwrite.
    tags = tag_list(inputs.get("tags"))
    _put(call, inputs, Overwrite=overwrite, **({} if overwrite or not tags else {"Tags": tags}))
    name = call.created(inputs["name"])
    if overwrite and tags:
        _retag(call, name, inputs, [], inputs["tags"])
    return name


def _read(call: Call, name: str, state: Properties) -> Properties | None:
    api = _ssm(call, state)
    try:
        parameter = api.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    except ClientError as error:
        if code_of(error) == _GONE:
            return None
        raise
    by_name = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
    # The description of a parameter may appear later than the parameter.
    description: Properties = call.wait_until(
        f"description of parameter {name}",
        lambda: first(api.describe_parameters, "Parameters", ParameterFilters=by_name),
    )
    tags = api.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    hidden = "valueWo" in state or bool(state.get("hasValueWo") and "value" not in state)
    plain = parameter["Type"] != "SecureString" and "insecureValue" in state
    return {
        "arn": parameter.get("ARN") or session_of(call).arn("ssm", f"parameter/{name.lstrip('/')}"),
        "name": name,
        "type": parameter["Type"],
        "version": parameter["Version"],
        "value": None if hidden else parameter["Value"],
        "insecureValue": parameter["Value"] if plain else None,
        "hasValueWo": hidden,
        "description": description.get("Description", ""),
        "allowedPattern": description.get("AllowedPattern", ""),
        "dataType": description.get("DataType") or "text",
        "keyId": description.get("KeyId", ""),
        "tier": description.get("Tier") or "Standard",
        **tags_read(call, tags),
    }


def _update(call: Call, _name: str, _state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    _put(call, inputs, Overwrite=True)


def _delete(call: Call, name: str, state: Properties) -> None:
    with ignoring_errors(_GONE):
        _ssm(call, state).delete_parameter(Name=name)


def _retag(call: Call, name: str, state: Properties, removed: Sequence[str], added: Mapping[str, str]) -> None:
    api, resource = _ssm(call, state), {"ResourceType": "Parameter", "ResourceId": name}
    if removed:
        api.remove_tags_from_resource(**resource, TagKeys=removed)
    if added:
        api.add_tags_to_resource(**resource, Tags=tag_list(added))


def _tier_needs_replacement(state: Properties, inputs: Properties) -> bool:
    # AWS cannot change an Advanced parameter to Standard.
    return state.get("tier") == "Advanced" and inputs.get("tier") == "Standard"


PARAMETER = regional(
    tagged(
        Resource(
            "aws:ssm/parameter:Parameter",
            {
                "name": Input(replaces=True, computed=True),
                "type": Input(required=True),
                "value": CHOSEN,
                "insecureValue": CHOSEN,
                "valueWo": Input(write_only=True),
                "valueWoVersion": Input(),
                "description": Input(),
                "allowedPattern": Input(),
                "dataType": Input(replaces=True, computed=True),
                "keyId": CHOSEN,
                "tier": Input(computed=True, replaces=_tier_needs_replacement),
                "overwrite": Input(ignored=True),
                "arn": CHOSEN,
            },
            _create,
            _read,
            _update,
            _delete,
            outputs=("hasValueWo", "version"),
            secret_outputs=("value", "valueWo"),
            moved_by={"version": ("value", "insecureValue", "valueWoVersion", "description", "type")},
            check=_check,
            auto_name="name",
        ),
        _retag,
    )
)

RESOURCES = (PARAMETER,)
