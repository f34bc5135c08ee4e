"""Two networks in two AWS regions, joined by a pair of NAT and IPsec gateways."""

import pulumi
import pulumi_vpn_gateway_pair as vpn

config = pulumi.Config()
pair = vpn.VpnGatewayPair(
    "vpn",
    left={
        "name": config.require("leftName"),
        "region": config.require("leftRegion"),
        "cidr_block": config.require("leftCidrBlock"),
    },
    right={
        "name": config.require("rightName"),
        "region": config.require("rightRegion"),
        "cidr_block": config.require("rightCidrBlock"),
    },
    administrator_cidr_blocks=config.get_object("administratorCidrBlocks"),
    verify=config.require_bool("verify"),
)

pulumi.export("left", pair.left)
pulumi.export("right", pair.right)
