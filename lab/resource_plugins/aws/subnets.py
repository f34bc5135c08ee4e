"""Subnets."""

from typing import Any

from lab.resource_plugins.aws.common import (
    FIXED_CHOSEN,
    NEEDED,
    ec2,
    ec2_resource,
    first,
    ignoring_errors,
    retry,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_SUBNET_GONE = ("InvalidSubnetID.NotFound",)
_SUBNET_ATTRIBUTES = {
    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
    "enableDns64": "EnableDns64",
}


def _create_subnet(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    place = {"AvailabilityZone": "availabilityZone", "AvailabilityZoneId": "availabilityZoneId"}
    subnet = api.create_subnet(
        VpcId=inputs["vpcId"],
        CidrBlock=inputs["cidrBlock"],
        **{name: inputs[key] for name, key in place.items() if key in inputs},
        **tag_specifications("subnet", inputs.get("tags")),
    )["Subnet"]
    subnet_id = call.created(subnet["SubnetId"])
    call.wait_until(f"subnet {subnet_id} available", lambda: _subnet(api, subnet_id, state="available"))
    _set_subnet_attributes(api, subnet_id, {}, inputs)
    return subnet_id


def _subnet(api: Any, subnet_id: str, state: str | None = None) -> Properties | None:
    subnet = first(api.describe_subnets, "Subnets", _SUBNET_GONE, SubnetIds=[subnet_id])
    return subnet if subnet and state in {None, subnet["State"]} else None


def _set_subnet_attributes(api: Any, subnet_id: str, state: Properties, inputs: Properties) -> None:
    for key, name in _SUBNET_ATTRIBUTES.items():
        if key in inputs and bool(inputs[key]) != bool(state.get(key)):
            api.modify_subnet_attribute(SubnetId=subnet_id, **{name: {"Value": bool(inputs[key])}})


def _read_subnet(call: Call, subnet_id: str, state: Properties) -> Properties | None:
    subnet = _subnet(ec2(call, state), subnet_id)
    if subnet is None:
        return None
    return {
        "arn": subnet["SubnetArn"],
        "vpcId": subnet["VpcId"],
        "cidrBlock": subnet["CidrBlock"],
        "availabilityZone": subnet["AvailabilityZone"],
        "availabilityZoneId": subnet["AvailabilityZoneId"],
        "ownerId": subnet["OwnerId"],
        "ipv6CidrBlockAssociationId": "",
        **{key: bool(subnet.get(name)) for key, name in _SUBNET_ATTRIBUTES.items()},
        **tags_read(call, subnet.get("Tags")),
    }


def _update_subnet(call: Call, subnet_id: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    _set_subnet_attributes(ec2(call, state), subnet_id, state, {key: inputs.get(key) for key in changed})


def _delete_subnet(call: Call, subnet_id: str, state: Properties) -> None:
    with ignoring_errors(*_SUBNET_GONE):
        delete = ec2(call, state).delete_subnet
        retry(call, f"deletion of {subnet_id}", lambda: delete(SubnetId=subnet_id), {"DependencyViolation"})


SUBNET = ec2_resource(
    Resource(
        "aws:ec2/subnet:Subnet",
        {
            "vpcId": NEEDED,
            "cidrBlock": NEEDED,
            "availabilityZone": FIXED_CHOSEN,
            "availabilityZoneId": FIXED_CHOSEN,
            **{key: Input(default=False) for key in _SUBNET_ATTRIBUTES},
        },
        _create_subnet,
        _read_subnet,
        _update_subnet,
        _delete_subnet,
        outputs=("arn", "ipv6CidrBlockAssociationId", "ownerId"),
        timeout=1200,
    )
)

RESOURCES = (SUBNET,)
