"""The package schema of a stand-in."""

from lab.resource_plugins.base import Function, Input, Resource
from lab.resource_plugins.base.schema import package_schema


def test_the_schema_has_the_resources_functions_and_settings() -> None:
    resource = Resource(
        "aws:ec2/vpc:Vpc", {"cidrBlock": Input(required=True), "tags": Input()}, create=lambda *_: "id", outputs=["arn"]
    )
    function = Function("aws:ec2/getVpc:getVpc", lambda *_: {})
    schema = package_schema("aws", "7.0.0", [resource], [function], ["region", "version"])
    anything = {"$ref": "pulumi.json#/Any"}
    assert schema["resources"] == {
        "aws:ec2/vpc:Vpc": {
            "inputProperties": {"cidrBlock": anything, "tags": anything},
            "requiredInputs": ["cidrBlock"],
            "properties": {"cidrBlock": anything, "tags": anything, "arn": anything},
        }
    }
    assert schema["functions"].keys() == {"aws:ec2/getVpc:getVpc"}
    assert schema["provider"]["inputProperties"] == {"region": {"type": "string"}}
    assert (schema["name"], schema["version"]) == ("aws", "7.0.0")
