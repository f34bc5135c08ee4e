"""A pair, and a host in a second range of its left VPC that pings the other region's gateway through the tunnel."""

import pulumi
import pulumi_aws as aws
import pulumi_vpn_gateway_pair as vpn

PING = """#!/bin/sh
printf '[Service]\\nExecStart=ping -i 60 %s\\n' {target} >/etc/systemd/system/ping-across.service
systemctl start ping-across.service
"""

SECOND_RANGE = "10.2.0.0/24"

config = pulumi.Config()
pair = vpn.VpnGatewayPair(
    "office",
    left={
        "name": "uk",
        "region": "eu-west-2",
        "cidr_block": "10.1.0.0/16",
        "additional_cidr_blocks": [SECOND_RANGE],
    },
    right={"name": "au", "region": "ap-southeast-2", "cidr_block": "172.31.0.0/16"},
    administrator_cidr_blocks=config.require_object("administratorCidrBlocks"),
    verify=config.require_bool("verify"),
)

uk = aws.Provider("uk", region="eu-west-2")
own = pulumi.ResourceOptions(provider=uk)
more = aws.ec2.VpcIpv4CidrBlockAssociation("more", vpc_id=pair.left.vpc_id, cidr_block=SECOND_RANGE, opts=own)
subnet = aws.ec2.Subnet("more", vpc_id=more.vpc_id, cidr_block=more.cidr_block, opts=own)
# The pair's private routes: by its gateway to the other region, and to the Internet.
routes = pair.left.private_route_table_ids[0]
routed = aws.ec2.RouteTableAssociation("more", subnet_id=subnet.id, route_table_id=routes, opts=own)
debian = aws.ec2.get_ami_output(
    owners=["136693071363"],
    most_recent=True,
    filters=[{"name": "name", "values": ["debian-13-amd64-*"]}],
    opts=pulumi.InvokeOutputOptions(provider=uk),
)
host = aws.ec2.Instance(
    "pinging",
    ami=debian.id,
    instance_type="t3.nano",
    subnet_id=subnet.id,
    vpc_security_group_ids=[pair.left.private_hosts_security_group_id],
    user_data=pair.right.private_ip.apply(lambda target: PING.format(target=target)),
    # It boots with a way out. A newer image is no reason for a new host.
    opts=pulumi.ResourceOptions(provider=uk, depends_on=[routed], ignore_changes=["ami"]),
)

pulumi.export("host", host.private_ip)
pulumi.export("gateway", pair.left.public_ip)
