"""VPCs, subnets, route tables and Internet gateways: what AWS refuses and what it answers."""

from typing import Any

import pytest

from lab.api.client import client
from lab.tests.unit.api_stack import Site, error_code, error_message, uk


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_network()
    site.build_identity()
    return site


def subnet_refusal(site: Site, cidr_block: str, zone: str = "eu-west-2a") -> str:
    return error_code(site.ec2.create_subnet, VpcId=site.ids["vpc"], CidrBlock=cidr_block, AvailabilityZone=zone)


def test_a_vpc_of_a_wrong_size_is_refused(site: Site) -> None:
    for cidr_block in ("10.0.0.0/15", "10.0.0.0/29"):
        assert error_code(site.ec2.create_vpc, CidrBlock=cidr_block) == "InvalidVpc.Range"


def test_a_cidr_block_becomes_canonical(site: Site) -> None:
    vpc = site.ec2.create_vpc(CidrBlock="10.77.3.9/16")["Vpc"]
    assert vpc["CidrBlock"] == "10.77.0.0/16"
    site.ec2.delete_vpc(VpcId=vpc["VpcId"])


def test_a_subnet_must_fit_into_its_vpc_overlap_no_other_and_be_in_a_zone_of_the_region(site: Site) -> None:
    assert subnet_refusal(site, "10.2.0.0/24") == "InvalidSubnet.Range"
    assert subnet_refusal(site, "10.1.1.128/25") == "InvalidSubnet.Conflict"
    assert subnet_refusal(site, "10.1.0.0/16") == "InvalidSubnet.Conflict"
    assert subnet_refusal(site, "10.1.50.0/29") == "InvalidSubnet.Range"
    assert subnet_refusal(site, "10.1.50.0/24", "ap-southeast-2a") == "InvalidParameterValue"


def test_a_second_block_of_a_vpc_holds_subnets_and_can_be_removed_only_after_them(site: Site) -> None:
    block = site.ec2.associate_vpc_cidr_block(VpcId=site.ids["vpc"], CidrBlock="10.2.0.0/24")["CidrBlockAssociation"]
    subnet = site.ec2.create_subnet(VpcId=site.ids["vpc"], CidrBlock="10.2.0.0/25")["Subnet"]
    association = {"AssociationId": block["AssociationId"]}
    assert error_code(site.ec2.disassociate_vpc_cidr_block, **association) == "InvalidCidrBlock.InUse"
    site.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    site.ec2.disassociate_vpc_cidr_block(**association)
    assert subnet_refusal(site, "10.2.0.0/25") == "InvalidSubnet.Range"


def test_a_new_subnet_assigns_no_public_addresses(site: Site) -> None:
    [subnet] = site.ec2.describe_subnets(SubnetIds=[site.ids["public_subnet"]])["Subnets"]
    assert subnet["MapPublicIpOnLaunch"] is False
    assert subnet["DefaultForAz"] is False


def test_only_the_default_vpc_has_default_subnets(api: str) -> None:
    ec2 = client("ec2", "eu-west-3", api)
    for subnet in ec2.describe_subnets()["Subnets"]:
        assert subnet["DefaultForAz"]
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    vpc = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    created = ec2.create_subnet(VpcId=vpc, CidrBlock="10.5.1.0/24", AvailabilityZone="eu-west-3a")["Subnet"]
    assert (created["DefaultForAz"], created["MapPublicIpOnLaunch"]) == (False, False)


def test_a_destination_has_one_route_whose_target_is_in_the_vpc(site: Site) -> None:
    ec2, table = site.ec2, site.ids["public_table"]

    def refusal(**route: Any) -> str:
        return error_code(ec2.create_route, RouteTableId=table, **route)

    eni, igw = site.ids["eni"], site.ids["igw"]
    assert refusal(DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=eni) == "RouteAlreadyExists"
    assert refusal(DestinationCidrBlock="10.1.0.0/16", GatewayId=igw) == "RouteAlreadyExists"
    assert refusal(DestinationCidrBlock="nonsense", GatewayId=igw) == "InvalidParameterValue"
    foreign = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    assert refusal(DestinationCidrBlock="192.0.2.0/24", GatewayId=foreign) == "InvalidParameterValue"
    assert refusal(DestinationCidrBlock="192.0.2.0/24") == "MissingParameter"
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.0.2.77/24", NetworkInterfaceId=eni)
    [described] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert "192.0.2.0/24" in [route["DestinationCidrBlock"] for route in described["Routes"]]
    assert refusal(DestinationCidrBlock="192.0.2.0/24", GatewayId=igw) == "RouteAlreadyExists"
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="192.0.2.0/24")
    delete = ec2.delete_route
    assert error_code(delete, RouteTableId=table, DestinationCidrBlock="192.0.2.0/24") == "InvalidRoute.NotFound"
    assert error_code(delete, RouteTableId=table, DestinationCidrBlock="10.1.0.0/16") == "InvalidParameterValue"


def test_the_main_route_table_cannot_be_deleted_and_a_subnet_has_one_route_table(site: Site) -> None:
    main: Any = site.ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [site.ids["vpc"]]}, {"Name": "association.main", "Values": ["true"]}]
    )
    table = main["RouteTables"][0]["RouteTableId"]
    assert error_code(site.ec2.delete_route_table, RouteTableId=table) == "DependencyViolation"
    request = {"RouteTableId": table, "SubnetId": site.ids["public_subnet"]}
    assert error_code(site.ec2.associate_route_table, **request) == "Resource.AlreadyAssociated"


def test_deleting_a_subnet_ends_its_association(site: Site) -> None:
    ec2 = site.ec2
    subnet = ec2.create_subnet(VpcId=site.ids["vpc"], CidrBlock="10.1.70.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=site.ids["vpc"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    assert error_code(ec2.delete_route_table, RouteTableId=table) == "DependencyViolation"
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=table)


def test_a_vpc_has_one_internet_gateway_and_a_gateway_one_vpc(site: Site) -> None:
    ec2 = site.ec2
    other = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    attach, vpc = ec2.attach_internet_gateway, site.ids["vpc"]
    assert error_code(attach, InternetGatewayId=other, VpcId=vpc) == "InvalidParameterValue"
    assert error_code(attach, InternetGatewayId=site.ids["igw"], VpcId=vpc) == "Resource.AlreadyAssociated"
    detach = ec2.detach_internet_gateway
    assert error_code(detach, InternetGatewayId=other, VpcId=vpc) == "Gateway.NotAttached"
    ec2.delete_internet_gateway(InternetGatewayId=other)


@pytest.mark.parametrize(
    ("describe", "parameter", "resource_id", "code"),
    [
        ("describe_vpcs", "VpcIds", "vpc-00000000000000000", "InvalidVpcID.NotFound"),
        ("describe_subnets", "SubnetIds", "subnet-00000000000000000", "InvalidSubnetID.NotFound"),
        ("describe_security_groups", "GroupIds", "sg-00000000000000000", "InvalidGroup.NotFound"),
        ("describe_route_tables", "RouteTableIds", "rtb-00000000000000000", "InvalidRouteTableID.NotFound"),
        ("describe_instances", "InstanceIds", "i-00000000000000000", "InvalidInstanceID.NotFound"),
        ("describe_addresses", "AllocationIds", "eipalloc-00000000000000000", "InvalidAllocationID.NotFound"),
        (
            "describe_internet_gateways",
            "InternetGatewayIds",
            "igw-00000000000000000",
            "InvalidInternetGatewayID.NotFound",
        ),
        (
            "describe_network_interfaces",
            "NetworkInterfaceIds",
            "eni-00000000000000000",
            "InvalidNetworkInterfaceID.NotFound",
        ),
    ],
)
def test_a_missing_resource_is_refused_with_awss_message(
    site: Site, describe: str, parameter: str, resource_id: str, code: str
) -> None:
    call = getattr(site.ec2, describe)
    assert error_code(call, **{parameter: [resource_id]}) == code
    assert f"ID '{resource_id}' does not exist" in error_message(call, **{parameter: [resource_id]}).replace(
        "security group '", "ID '"
    )
