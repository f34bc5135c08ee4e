"""What Pulumi's analyzer cannot say of the components, said in their schema: secrets, and texts as one reads them.

Pure: a schema in, a schema out (Pulumi's "Package schema", https://www.pulumi.com/docs/iac/extending-pulumi/schema/).
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

SECRETS = frozenset({"psk", "host_private_key", "ssh_private_key"})
"""Arguments and outputs that are secret wherever they stand, in Python's names."""

_NAME_IN_TEXT = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`")


def described(schema: Mapping[str, Any], *, description: str, license_name: str) -> dict[str, Any]:
    """Return `schema` with its secrets marked, its texts without Python's indentation, and what the package is.

    Names of properties in texts are written as the schema writes them (`cidr_block` -> `cidrBlock`). `description` and
    `license_name` are those of the package.
    """
    resources = {token: _resource(resource) for token, resource in schema["resources"].items()}
    types = {token: _type(kind) for token, kind in schema["types"].items()}
    known = {name for owner in (*resources.values(), *types.values()) for name, _ in properties(owner)}
    told: dict[str, Any] = _retold(
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
    return told


def properties(owner: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and definition of every argument and output of a resource, or property of a type, of a schema."""
    for kind in ("inputProperties", "properties"):
        yield from owner.get(kind, {}).items()


def schema_name(name: str) -> str:
    """Return Python's name of a property as the schema has it: `cidr_block` -> `cidrBlock`."""
    first, *rest = name.split("_")
    return "".join([first, *(word.capitalize() for word in rest)])


_SECRET_NAMES = frozenset(map(schema_name, SECRETS))


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {**_type(resource), "inputProperties": _marked(resource["inputProperties"])}


def _type(kind: Mapping[str, Any]) -> dict[str, Any]:
    return {**kind, "properties": _marked(kind["properties"])} if "properties" in kind else dict(kind)


def _marked(listed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {**_items_corrected(each), **({"secret": True} if name in _SECRET_NAMES else {})}
        for name, each in listed.items()
    }


def _items_corrected(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Correct what the analyzer says of the items of a list or mapping.

    Left out is the text of the whole, which it repeats. Objects among them are not plain: for a plain list of plain
    objects the generator of Go SDKs (Pulumi 3.250) writes code that does not compile, without the objects' type.
    """
    corrected = dict(definition)
    for key in ("items", "additionalProperties"):
        if key in definition:
            left_out = {"description", "plain"} if "$ref" in definition[key] else {"description"}
            corrected[key] = {part: said for part, said in definition[key].items() if part not in left_out}
    return corrected


def _retold(value: Any, known: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _text(each, known) if key == "description" and isinstance(each, str) else _retold(each, known)
            for key, each in value.items()
        }
    return [_retold(each, known) for each in value] if isinstance(value, list) else value


def _text(text: str, known: set[str]) -> str:
    def renamed(match: re.Match[str]) -> str:
        name = schema_name(match[1])
        return f"`{name}`" if name in known else match[0]

    return _NAME_IN_TEXT.sub(renamed, inspect.cleandoc(text))
