"""Adds to the schema of Pulumi's analyzer: secrets, inherited descriptions, and names as the schema writes them.

Pure: a schema in, a schema out (Pulumi's "Package schema", https://www.pulumi.com/docs/iac/extending-pulumi/schema/).
"""

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..inputs.arguments import SECRETS, camel_case

_NAME_IN_TEXT = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`")
_SECRETS = frozenset(map(camel_case, SECRETS))


def described(
    schema: Mapping[str, Any], *, description: str, license_name: str, inherited: Mapping[str, str]
) -> dict[str, Any]:
    """Return `schema` with secrets marked, every property described, and the metadata of the package.

    In descriptions, the names of properties are those of the schema (`cidr_block` -> `cidrBlock`), and Python's
    indentation is removed. `inherited` is the descriptions that the analyzer leaves out, by the names of properties.
    """
    resources = {token: _resource(resource, inherited) for token, resource in schema["resources"].items()}
    types = {token: _type(kind, inherited) for token, kind in schema["types"].items()}
    known = {name for owner in (*resources.values(), *types.values()) for name, _ in properties(owner)}
    complete: dict[str, Any] = _rewritten(
        {
            **schema,
            "description": description,
            "keywords": ["pulumi", "aws", "vpn", "ipsec", "nat", "category/network", "kind/component"],
            "license": license_name,
            "resources": resources,
            "types": types,
        },
        known,
    )
    return complete


def properties(owner: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and definition of every argument and output of a resource, or property of a type, of a schema."""
    for kind in ("inputProperties", "properties"):
        yield from owner.get(kind, {}).items()


def _resource(resource: Mapping[str, Any], inherited: Mapping[str, str]) -> dict[str, Any]:
    arguments = _properties(resource["inputProperties"], resource["requiredInputs"], inherited)
    return {**_type(resource, inherited), "inputProperties": arguments}


def _type(kind: Mapping[str, Any], inherited: Mapping[str, str]) -> dict[str, Any]:
    if "properties" not in kind:
        return dict(kind)
    return {**kind, "properties": _properties(kind["properties"], kind.get("required", ()), inherited)}


def _properties(
    definitions: Mapping[str, Any], required: Collection[str], inherited: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return complete definitions. The analyzer has those of a base class first; here those that are required are."""
    return {
        name: {
            **({"description": inherited[name]} if "description" not in definition else {}),
            **_items_corrected(definition),
            **({"secret": True} if name in _SECRETS else {}),
        }
        for name, definition in sorted(definitions.items(), key=lambda each: each[0] not in required)
    }


def _items_corrected(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Correct the items of a list or mapping.

    The analyzer repeats the description of the whole for them; it is left out. Objects among the items are not plain:
    for a plain list of plain objects, the generator of Go SDKs (Pulumi 3.250) writes code that does not compile,
    without the type of the objects.
    """
    corrected = dict(definition)
    for key in ("items", "additionalProperties"):
        if key in definition:
            left_out = {"description", "plain"} if "$ref" in definition[key] else {"description"}
            corrected[key] = {part: value for part, value in definition[key].items() if part not in left_out}
    return corrected


def _rewritten(value: Any, known: set[str]) -> Any:
    """Return a part of a schema with every description rewritten by `_text`."""
    if isinstance(value, Mapping):
        return {
            key: _text(part, known) if key == "description" and isinstance(part, str) else _rewritten(part, known)
            for key, part in value.items()
        }
    return [_rewritten(part, known) for part in value] if isinstance(value, list) else value


def _text(text: str, known: set[str]) -> str:
    def renamed(match: re.Match[str]) -> str:
        name = camel_case(match[1])
        return f"`{name}`" if name in known else match[0]

    return _NAME_IN_TEXT.sub(renamed, inspect.cleandoc(text))
