"""VPCs and their secondary CIDR blocks."""

from typing import Any

from lab.resource_plugins.aws.common import (
    CHOSEN,
    NEEDED,
    ec2,
    ec2_resource,
    filters,
    first,
    ignoring_errors,
    region_of,
    regional,
    retry,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_VPC_GONE = ("InvalidVpcID.NotFound",)

_VPC_ATTRIBUTES = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}


def _create_vpc(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    vpc = api.create_vpc(
        CidrBlock=inputs["cidrBlock"],
        InstanceTenancy=inputs["instanceTenancy"],
        **tag_specifications("vpc", inputs.get("tags")),
    )["Vpc"]
    vpc_id = call.created(vpc["VpcId"])
    call.wait_until(f"VPC {vpc_id} available", lambda: _vpc(api, vpc_id, state="available"))
    _set_vpc_attributes(api, vpc_id, {"enableDnsSupport": True}, inputs)
    return vpc_id


def _vpc(api: Any, vpc_id: str, state: str | None = None) -> Properties | None:
    vpc = first(api.describe_vpcs, "Vpcs", _VPC_GONE, VpcIds=[vpc_id])
    return vpc if vpc and state in {None, vpc["State"]} else None


def _set_vpc_attributes(api: Any, vpc_id: str, state: Properties, inputs: Properties) -> None:
    for key, name in _VPC_ATTRIBUTES.items():
        if key in inputs and inputs[key] != state.get(key, False):
            api.modify_vpc_attribute(VpcId=vpc_id, **{name: {"Value": inputs[key]}})


def _read_vpc(call: Call, vpc_id: str, state: Properties) -> Properties | None:
    api = ec2(call, state)
    vpc = _vpc(api, vpc_id)
    if vpc is None:
        return None
    attributes = {
        key: api.describe_vpc_attribute(VpcId=vpc_id, Attribute=key)[name]["Value"]
        for key, name in _VPC_ATTRIBUTES.items()
    }
    of_vpc = {"vpc_id": vpc_id}
    acl = first(api.describe_network_acls, "NetworkAcls", Filters=filters(default="true", **of_vpc))
    table = first(api.describe_route_tables, "RouteTables", Filters=filters(association__main="true", **of_vpc))
    group = first(api.describe_security_groups, "SecurityGroups", Filters=filters(group_name="default", **of_vpc))
    table_id = table and table["RouteTableId"]
    return {
        **attributes,
        "arn": session_of(call).arn("ec2", f"vpc/{vpc_id}", region=region_of(call, state), account=vpc["OwnerId"]),
        "cidrBlock": vpc["CidrBlock"],
        "instanceTenancy": vpc["InstanceTenancy"],
        "dhcpOptionsId": vpc["DhcpOptionsId"],
        "ownerId": vpc["OwnerId"],
        "defaultNetworkAclId": acl and acl["NetworkAclId"],
        "defaultRouteTableId": table_id,
        "mainRouteTableId": table_id,
        "defaultSecurityGroupId": group and group["GroupId"],
        "assignGeneratedIpv6CidrBlock": False,
        "ipv6AssociationId": "",
        "ipv6CidrBlock": "",
        **tags_read(call, vpc.get("Tags")),
    }


def _update_vpc(call: Call, vpc_id: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    _set_vpc_attributes(ec2(call, state), vpc_id, state, {key: inputs[key] for key in changed & inputs.keys()})


def _delete_vpc(call: Call, vpc_id: str, state: Properties) -> None:
    with ignoring_errors(*_VPC_GONE):
        delete = ec2(call, state).delete_vpc
        retry(call, f"deletion of {vpc_id}", lambda: delete(VpcId=vpc_id), {"DependencyViolation"})


def _tenancy_needs_replacement(state: Properties, inputs: Properties) -> bool:
    # AWS can change the tenancy of a VPC only from dedicated to default.
    return not (state.get("instanceTenancy") == "dedicated" and inputs.get("instanceTenancy") == "default")


VPC = ec2_resource(
    Resource(
        "aws:ec2/vpc:Vpc",
        {
            "cidrBlock": Input(replaces=True, required=True),
            "instanceTenancy": Input(default="default", replaces=_tenancy_needs_replacement),
            "enableDnsSupport": Input(default=True),
            "enableDnsHostnames": CHOSEN,
            "enableNetworkAddressUsageMetrics": CHOSEN,
        },
        _create_vpc,
        _read_vpc,
        _update_vpc,
        _delete_vpc,
        outputs=(
            "arn", "defaultNetworkAclId", "defaultRouteTableId", "defaultSecurityGroupId", "dhcpOptionsId",
            "ipv6AssociationId", "mainRouteTableId", "ownerId",
        ),
        timeout=300,
    )
)  # fmt: skip


def _create_cidr_block(call: Call, inputs: Properties) -> str:
    api, vpc_id = ec2(call, inputs), inputs["vpcId"]
    association = api.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=inputs["cidrBlock"])["CidrBlockAssociation"]
    association_id = call.created(association["AssociationId"])
    call.wait_until(f"{inputs['cidrBlock']} of {vpc_id}", lambda: _cidr_block(api, association_id))
    return association_id


def _cidr_block(api: Any, association_id: str) -> Properties | None:
    """Return the VPC and the block of an association; None unless it is in the state `associated`."""
    by_id = filters(cidr_block_association__association_id=association_id)
    vpc = first(api.describe_vpcs, "Vpcs", Filters=by_id) or {}
    for each in vpc.get("CidrBlockAssociationSet", []):
        if each["AssociationId"] == association_id and each["CidrBlockState"]["State"] == "associated":
            return {"vpcId": vpc["VpcId"], "cidrBlock": each["CidrBlock"]}
    return None


def _read_cidr_block(call: Call, association_id: str, state: Properties) -> Properties | None:
    return _cidr_block(ec2(call, state), association_id)


def _delete_cidr_block(call: Call, association_id: str, state: Properties) -> None:
    api = ec2(call, state)
    if _cidr_block(api, association_id):
        api.disassociate_vpc_cidr_block(AssociationId=association_id)
    call.wait_until(f"end of {association_id}", lambda: _cidr_block(api, association_id) is None)


VPC_CIDR_BLOCK = regional(
    Resource(
        "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation",
        {"vpcId": NEEDED, "cidrBlock": NEEDED},
        _create_cidr_block,
        _read_cidr_block,
        delete=_delete_cidr_block,
        timeout=600,
    )
)

RESOURCES = (VPC, VPC_CIDR_BLOCK)
