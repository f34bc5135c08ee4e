"""The package schema of a stand-in, for languages that read it from the plugin, such as YAML.

Types are left open, because the resource's own check decides in every language what an input accepts.
"""

from collections.abc import Iterable
from typing import Any

from lab.resource_plugins.base.resource import Function, Resource

_ANYTHING = {"$ref": "pulumi.json#/Any"}


def package_schema(
    package: str, version: str, resources: Iterable[Resource], functions: Iterable[Function], settings: Iterable[str]
) -> dict[str, Any]:
    """Return the schema of a package; `settings` are the string settings of its provider."""
    # A schema must not declare `version`, which every provider has.
    properties = {name: {"type": "string"} for name in settings if name != "version"}
    return {
        "name": package,
        "version": version,
        # Lets programs write `aws:ec2:Vpc` for `aws:ec2/vpc:Vpc`.
        "meta": {"moduleFormat": "(.*)(?:/[^/]*)"},
        "provider": {"properties": properties, "inputProperties": properties},
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
