"""Make docs/reference.md of the components' schema."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """# Reference

Made from [components/schema.json](../components/schema.json) by `make generated`; every text is the documentation of
the argument in the code.

Names are Python's; where other languages write it otherwise, their name is below (`cidr_block` is `cidrBlock` in
TypeScript and YAML, `CidrBlock` in Go). *Output* behind a type: may be the output of another resource; everything else
decides which resources exist and must be known when the program runs. *Secret*: encrypted in the state, never shown.
"""


def reference(schema: Mapping[str, Any]) -> str:
    """Return the document for a schema, the components first, then their types in alphabetical order."""
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
    """Return the types that components give rather than take."""
    referred = {
        each["$ref"].rpartition("/")[2]
        for component in schema["resources"].values()
        for each in component["properties"].values()
        if "$ref" in each
    }
    return {token for token in referred if "enum" not in schema["types"].get(token, {})}


def _table(kind: str, properties: Mapping[str, Any], required: set[str] | None) -> Iterator[str]:
    """Yield a table; `required` is None for outputs, which nobody has to give."""
    yield f"| {kind} | type | meaning |\n|---|---|---|"
    for name, each in properties.items():
        said = [_type_name(each)]
        if required is not None:
            said += ["required"] * (name in required) + ["Output"] * (not each.get("plain"))
        said += ["secret"] * bool(each.get("secret"))
        yield f"| {_names(name)} | {', '.join(said)} | {_line(each['description'])} |"
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
