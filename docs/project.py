"""Make the settings of Pulumi.yaml from the components' schema."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

_TOKEN: Final = "vpn-gateway-pair:index:"  # noqa: S105 - of a type, not a secret
_SIDES: Final = ("left", "right")


def project_file(text: str, schema: Mapping[str, Any]) -> str:
    """Return Pulumi.yaml with the settings of the schema; all but `config` and its defaults is as in `text`."""
    head, _, _ = text.partition("\nconfig:\n")
    defaults = {key: each["default"] for key, each in yaml.safe_load(text)["config"].items()}
    config = {
        key: {**setting, "default": defaults.get(key, [] if setting["type"] == "array" else "")}
        for key, setting in _settings(schema, defaults)
    }
    dumped = yaml.safe_dump({"config": config}, sort_keys=False, allow_unicode=True, width=1000)
    return f"{head}\n{dumped}"


def _settings(schema: Mapping[str, Any], defaults: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the key and the declaration of each setting, without its default."""
    of_pair = schema["resources"][f"{_TOKEN}VpnGatewayPair"]["inputProperties"]
    of_side = schema["types"][f"{_TOKEN}SiteArgs"]["properties"]
    for side in _SIDES:
        keys = {name: f"{side}{name[0].upper()}{name[1:]}" for name in of_side}
        for name, key in keys.items():
            setting = _setting(of_side[name], schema, keys, is_optional=not defaults.get(key))
            yield key, {**setting, "description": f"{side.capitalize()} side: {setting['description']}"}
    for name in (name for name in of_pair if name not in _SIDES):
        yield name, _setting(of_pair[name], schema, {}, is_optional=not defaults.get(name))


def _setting(
    definition: Mapping[str, Any], schema: Mapping[str, Any], keys: Mapping[str, str], *, is_optional: bool
) -> dict[str, Any]:
    """Return the declaration of an argument as a setting: an empty one is absent, and another has its own default."""
    kind = schema["types"][definition["$ref"].rpartition("/")[2]] if "$ref" in definition else definition
    text, _, default = " ".join(definition["description"].split()).partition(" Default: ")
    text = re.sub(r"`(\w+)`", lambda match: f"`{keys.get(match[1], match[1])}`", text)
    text = text.replace("; secret", "; set it with --secret")
    if "enum" in kind:
        text += "".join(f" `{each['value']}`: {' '.join(each['description'].split())}" for each in kind["enum"])
    if "$ref" in definition and "properties" in kind:
        text += f" Keys: {', '.join(f'`{name}`' for name in kind['properties'])}."
    return {
        "type": kind["type"],
        **({"items": {"type": "string"}} if kind["type"] == "array" else {}),
        "description": f"{text} Empty: {default}" if default and is_optional else text,
    }
