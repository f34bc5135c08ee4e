"""Render docs/reference.md from the components' schema."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """# Reference

`make generated` writes this page from [components/schema.json](../components/schema.json). Every description is the
documentation of the argument or output in the code.

Names are those of Python. If another language spells a name differently, the other spelling is below it: `cidr_block`
is `cidrBlock` in TypeScript and YAML, and `CidrBlock` in Go. The column *type* also has these words:

- *required*: the argument has no default.
- *Output*: the value may be an output of another resource. Any other value decides which resources exist, so it must be
  known when the program runs.
- *secret*: the value is encrypted in the state and never shown.
"""


def reference(schema: Mapping[str, Any]) -> str:
    """Return the document for a schema: the components, then their types in alphabetical order."""
    return "\n".join([HEAD, *_components(schema), *_types(schema)]).rstrip() + "\n"


def _components(schema: Mapping[str, Any]) -> Iterator[str]:
    for token, component in sorted(schema["resources"].items(), key=lambda each: each[0], reverse=True):
        yield f"## {_short(token)}\n\nType `{token}`.\n\n{component['description']}\n"
        yield from _table("argument", component["inputProperties"], set(component.get("requiredInputs", [])))
        yield from _table("output", component["properties"], None)


def _types(schema: Mapping[str, Any]) -> Iterator[str]:
    outputs = _outputs(schema)
    for token, kind in sorted(schema["types"].items()):
        yield f"## {_short(token)}\n\n{kind['description']}\n"
        if "enum" in kind:
            yield "| value | meaning |\n|---|---|"
            yield from (f"| `{each['value']}` | {_line(each['description'])} |" for each in kind["enum"])
            yield ""
        else:
            required = None if token in outputs else set(kind.get("required", []))
            yield from _table("output" if token in outputs else "argument", kind["properties"], required)


def _outputs(schema: Mapping[str, Any]) -> set[str]:
    """Return the types of the components' outputs."""
    referred = {
        each["$ref"].rpartition("/")[2]
        for component in schema["resources"].values()
        for each in component["properties"].values()
        if "$ref" in each
    }
    return {token for token in referred if "enum" not in schema["types"].get(token, {})}


def _table(kind: str, properties: Mapping[str, Any], required: set[str] | None) -> Iterator[str]:
    """Yield the lines of a table; `required` is None for outputs."""
    yield f"| {kind} | type | meaning |\n|---|---|---|"
    for name, each in properties.items():
        words = [_type_name(each)]
        if required is not None:
            words += ["required"] * (name in required) + ["Output"] * (not each.get("plain"))
        words += ["secret"] * bool(each.get("secret"))
        yield f"| {_names(name)} | {', '.join(words)} | {_line(each['description'])} |"
    yield ""


def _names(name: str) -> str:
    python = re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)
    return f"`{python}`" if python == name else f"`{python}`<br>`{name}`"


def _type_name(definition: Mapping[str, Any]) -> str:
    if "$ref" in definition:
        name = _short(definition["$ref"])
        return f"[{name}](#{name.lower()})" if ":" in definition["$ref"] else name
    if definition["type"] == "array":
        return f"list of {_type_name(definition['items'])}"
    if definition["type"] == "object":
        return f"mapping to {_type_name(definition['additionalProperties'])}"
    return str(definition["type"])


def _short(token: str) -> str:
    return re.split(r"[:/#]", token)[-1]


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
