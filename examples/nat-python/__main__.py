"""A gateway that is the NAT of a private subnet, without tunnels, and a private host whose way out it is."""

import pulumi
import pulumi_aws as aws
import pulumi_tls as tls
from vpn_gateway_pair import VpnGateway, VpnGatewayArgs

config = pulumi.Config()
key = tls.PrivateKey("ssh-key", algorithm="ED25519")
args: VpnGatewayArgs = {
    "name": "uk",
    "cidr_block": "10.1.0.0/16",
    "ssh_public_key": key.public_key_openssh,
    "administrator_cidr_blocks": config.require_object("administratorCidrBlocks"),
}
if config.require_bool("verify"):
    # With it, `pulumi up` changes the running gateway, and proves that it reaches the Internet.
    args["ssh_private_key"] = key.private_key_openssh

uk = aws.Provider("uk", region="eu-west-2")
nat = VpnGateway("nat", args, pulumi.ResourceOptions(providers={"aws": uk}))

debian = aws.ec2.get_ami_output(
    owners=["136693071363"],
    most_recent=True,
    filters=[{"name": "name", "values": ["debian-13-amd64-*"]}],
    opts=pulumi.InvokeOutputOptions(provider=uk),
)
worker = aws.ec2.Instance(
    "worker",
    ami=debian.id,
    instance_type="t3.nano",
    subnet_id=nat.private_subnet_ids[0],
    vpc_security_group_ids=[nat.private_hosts_security_group_id],
    tags={"Name": "worker"},
    # A newer image is no reason for a new host.
    opts=pulumi.ResourceOptions(provider=uk, ignore_changes=["ami"]),
)

pulumi.export("worker", worker.private_ip)
pulumi.export("gateway", nat.public_ip)
