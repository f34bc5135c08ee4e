"""Makes a network outside the stack, by calls of the API."""

from typing import Any

from tests.engine.api_process import ApiProcess


def network_of_others(api: ApiProcess, region: str, cidr_block: str, public_cidr_block: str) -> dict[str, Any]:
    """Make a VPC with a public subnet, an Internet gateway and a private route table; return its ids as arguments."""
    ec2 = api.client("ec2", region)
    vpc = ec2.create_vpc(CidrBlock=cidr_block)["Vpc"]["VpcId"]
    internet = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=internet, VpcId=vpc)
    public, private = (ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    ec2.create_route(RouteTableId=public, DestinationCidrBlock="0.0.0.0/0", GatewayId=internet)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=public_cidr_block)["Subnet"]["SubnetId"]
    ec2.associate_route_table(RouteTableId=public, SubnetId=subnet)
    return {"vpc_id": vpc, "public_subnet_id": subnet, "private_route_table_ids": [private]}
