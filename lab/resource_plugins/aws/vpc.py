"""VPCs, their further CIDR blocks, subnets and Internet gateways."""

from typing import Any

from lab.resource_plugins.aws.kinds import (
    CHOSEN,
    FIXED_CHOSEN,
    NEEDED,
    ec2,
    ec2_resource,
    filters,
    first,
    gone_is_fine,
    persistently,
    region_of,
    regional,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_VPC_GONE = ("InvalidVpcID.NotFound",)
_SUBNET_GONE = ("InvalidSubnetID.NotFound",)
_GATEWAY_GONE = ("InvalidInternetGatewayID.NotFound",)

_VPC_ATTRIBUTES = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}
_SUBNET_ATTRIBUTES = {
    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
    "enableDns64": "EnableDns64",
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
    with gone_is_fine(*_VPC_GONE):
        delete = ec2(call, state).delete_vpc
        persistently(call, f"deletion of {vpc_id}", lambda: delete(VpcId=vpc_id), {"DependencyViolation"})


def _is_dedicated_to_default(state: Properties, inputs: Properties) -> bool:
    return not (state.get("instanceTenancy") == "dedicated" and inputs.get("instanceTenancy") == "default")


VPC = ec2_resource(
    Resource(
        "aws:ec2/vpc:Vpc",
        {
            "cidrBlock": Input(replaces=True, required=True),
            "instanceTenancy": Input(default="default", replaces=_is_dedicated_to_default),
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
    made = api.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=inputs["cidrBlock"])["CidrBlockAssociation"]
    association_id = call.created(made["AssociationId"])
    call.wait_until(f"{inputs['cidrBlock']} of {vpc_id}", lambda: _cidr_block(api, association_id))
    return association_id


def _cidr_block(api: Any, association_id: str) -> Properties | None:
    """Return the VPC and the block of an association that is in force."""
    wanted = filters(cidr_block_association__association_id=association_id)
    vpc = first(api.describe_vpcs, "Vpcs", Filters=wanted) or {}
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
    with gone_is_fine(*_SUBNET_GONE):
        delete = ec2(call, state).delete_subnet
        persistently(call, f"deletion of {subnet_id}", lambda: delete(SubnetId=subnet_id), {"DependencyViolation"})


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


def _create_gateway(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    made = api.create_internet_gateway(**tag_specifications("internet-gateway", inputs.get("tags")))
    gateway_id = call.created(made["InternetGateway"]["InternetGatewayId"])
    if inputs.get("vpcId"):
        _attach(call, api, gateway_id, inputs["vpcId"])
    return gateway_id


def _attach(call: Call, api: Any, gateway_id: str, vpc_id: str) -> None:
    persistently(
        call,
        f"attachment of {gateway_id} to {vpc_id}",
        lambda: api.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id),
        _GATEWAY_GONE,
    )


def _detach(call: Call, api: Any, gateway_id: str, vpc_id: str) -> None:
    # AWS refuses while the VPC still maps public addresses, which go when instances and addresses go.
    with gone_is_fine("Gateway.NotAttached", *_GATEWAY_GONE, *_VPC_GONE):
        persistently(
            call,
            f"detachment of {gateway_id} from {vpc_id}",
            lambda: api.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id),
            {"DependencyViolation"},
        )


def _gateway(api: Any, gateway_id: str) -> Properties | None:
    return first(api.describe_internet_gateways, "InternetGateways", _GATEWAY_GONE, InternetGatewayIds=[gateway_id])


def _attached_vpc(gateway: Properties) -> str:
    attached = [each["VpcId"] for each in gateway.get("Attachments", []) if each["State"] in {"available", "attached"}]
    return attached[0] if attached else ""


def _read_gateway(call: Call, gateway_id: str, state: Properties) -> Properties | None:
    gateway = _gateway(ec2(call, state), gateway_id)
    if gateway is None:
        return None
    session, resource = session_of(call), f"internet-gateway/{gateway_id}"
    owner = gateway.get("OwnerId") or session.account
    return {
        "arn": session.arn("ec2", resource, region=region_of(call, state), account=owner),
        "ownerId": owner,
        "vpcId": _attached_vpc(gateway),
        **tags_read(call, gateway.get("Tags")),
    }


def _update_gateway(call: Call, gateway_id: str, state: Properties, inputs: Properties, _: frozenset[str]) -> None:
    api = ec2(call, state)
    if state.get("vpcId"):
        _detach(call, api, gateway_id, state["vpcId"])
    if inputs.get("vpcId"):
        _attach(call, api, gateway_id, inputs["vpcId"])


def _delete_gateway(call: Call, gateway_id: str, state: Properties) -> None:
    api = ec2(call, state)
    if state.get("vpcId"):
        _detach(call, api, gateway_id, state["vpcId"])
    with gone_is_fine(*_GATEWAY_GONE):
        delete = api.delete_internet_gateway
        what = f"deletion of {gateway_id}"
        persistently(call, what, lambda: delete(InternetGatewayId=gateway_id), {"DependencyViolation"})


INTERNET_GATEWAY = ec2_resource(
    Resource(
        "aws:ec2/internetGateway:InternetGateway",
        {"vpcId": CHOSEN},
        _create_gateway,
        _read_gateway,
        _update_gateway,
        _delete_gateway,
        outputs=("arn", "ownerId"),
        timeout=1200,
    )
)


RESOURCES = (VPC, VPC_CIDR_BLOCK, SUBNET, INTERNET_GATEWAY)
