"""A pair, and a database subnet on its left side whose only way out is the other region, through the tunnel."""

import pulumi
import pulumi_aws as aws
from vpn_gateway_pair import VpnGatewayPair

RIGHT_NETWORK = "172.31.0.0/16"

config = pulumi.Config()
pair = VpnGatewayPair(
    "office",
    {
        "left": {"name": "uk", "region": "eu-west-2", "cidr_block": "10.1.0.0/16"},
        "right": {"name": "au", "region": "ap-southeast-2", "cidr_block": RIGHT_NETWORK},
        "administrator_cidr_blocks": config.require_object("administratorCidrBlocks"),
        "verify": config.require_bool("verify"),
    },
)

uk = pulumi.ResourceOptions(provider=aws.Provider("uk", region="eu-west-2"))
subnet = aws.ec2.Subnet("database", vpc_id=pair.left["vpc_id"], cidr_block="10.1.20.0/24", opts=uk)
routes = aws.ec2.RouteTable("database", vpc_id=pair.left["vpc_id"], opts=uk)
aws.ec2.RouteTableAssociation("database", subnet_id=subnet.id, route_table_id=routes.id, opts=uk)
aws.ec2.Route(
    "database-to-au",
    route_table_id=routes.id,
    destination_cidr_block=RIGHT_NETWORK,
    network_interface_id=pair.left["network_interface_id"],
    opts=uk,
)

pulumi.export("database_subnet", subnet.id)
pulumi.export("gateway", pair.left["public_ip"])
