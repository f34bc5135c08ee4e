"""What a stand-in says of itself as a package schema: enough for languages that ask the plugin, as YAML does.

Types are left open: what an input takes is decided by the resource's own check, in every language alike.
"""

from collections.abc import Iterable
from typing import Any

from lab.resource_plugins.base.resource import Function, Resource

_ANYTHING = {"$ref": "pulumi.json#/Any"}


def package_schema(
    package: str, version: str, resources: Iterable[Resource], functions: Iterable[Function], settings: Iterable[str]
) -> dict[str, Any]:
    """Return the schema of a package; `settings` are those of its provider that are texts."""
    # Every provider has a version: a schema may not say so again.
    described = {name: {"type": "string"} for name in settings if name != "version"}
    return {
        "name": package,
        "version": version,
        # `aws:ec2/vpc:Vpc` is `aws:ec2:Vpc` for people.
        "meta": {"moduleFormat": "(.*)(?:/[^/]*)"},
        "provider": {"properties": described, "inputProperties": described},
        "resources": {each.token: _resource(each) for each in resources},
        "functions": {
            each.token: {
                "inputs": {"type": "object", "properties": {}},
                "outputs": {"type": "object", "properties": {}},
            }
            for each in functions
        },
    }


def _resource(resource: Resource) -> dict[str, Any]:
    inputs = dict.fromkeys(resource.inputs, _ANYTHING)
    return {
        "inputProperties": inputs,
        "requiredInputs": [name for name, each in resource.inputs.items() if each.required],
        "properties": {**inputs, **dict.fromkeys(resource.outputs, _ANYTHING)},
    }
