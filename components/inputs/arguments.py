"""What a caller may say. The text under each field is its documentation in every Pulumi language.

Plain values (`str`, not `pulumi.Input[str]`) decide which resources exist and must be known when the program runs.
`settings` turns these into frozen settings with every default filled in.
"""

from enum import Enum
from typing import NotRequired, TypedDict

import pulumi

from ..decisions.tunnel import TunnelProfile


class SecretDelivery(Enum):
    """How a gateway gets its pre-shared key and its SSH host key."""

    SSM = "ssm"
    """Two SSM SecureString parameters, read at boot by the instance's own role. Nothing secret is in the user data."""
    USER_DATA = "user-data"
    """Inside the user data, for accounts without IAM rights: readable by whoever may call
    ec2:DescribeInstanceAttribute.
    """


class ExistingNetworkArgs(TypedDict):
    """A network that is there already and is not this component's.

    Of it, only the named route tables are changed: each is given the routes to the gateway, which `destroy` takes away
    again. A route that is there already and would have to give way is refused, never replaced.
    """

    vpc_id: pulumi.Input[str]
    """Id of the VPC."""

    public_subnet_id: pulumi.Input[str]
    """Id of the subnet for the gateway, whose default route leads to an Internet gateway."""

    private_route_table_ids: pulumi.Input[list[pulumi.Input[str]]]
    """Ids of the private subnets' route tables, e.g. one for each availability zone; at least one. The list may be one
    Output, e.g. of a `StackReference`. Their order does not matter. The routes of a table that is still to be made are
    not in a preview.
    """

    take_default_route: NotRequired[bool]
    """Whether the route tables get a default route to the gateway, which is then NAT for their subnets. With false they
    get routes to the peers' networks only, and whatever default route they have stays. Default: true.
    """

    private_subnet_id: NotRequired[pulumi.Input[str]]
    """Id of the private subnet of the probe host; needed with `probe_host_private_ip`. Default: none."""

    internet_gateway_id: NotRequired[pulumi.Input[str]]
    """Id of the Internet gateway that the public subnet's default route must lead to. Give it when the same program
    creates it: the gateway's address then comes after it and goes before it. Default: any.
    """


class SiteArgs(TypedDict):
    """One side of a pair: a network in one region and its gateway."""

    name: str
    """Short name of the side, e.g. `uk`: lower-case letters, digits and hyphens, at most 20. Names the hosts
    (`uk-gateway`), their tags and the connection.
    """

    region: str
    """AWS region, e.g. `eu-west-2`."""

    cidr_block: str
    """IPv4 CIDR block of the VPC, /16 to /28, canonical, disjoint from the other side's. With `existing_network`: the
    one of the VPC's CIDR blocks that the public subnet is in.
    """

    existing_network: NotRequired[ExistingNetworkArgs]
    """A VPC with its subnets and route tables that is there already. Needs `gateway_private_ip`; the subnets' CIDR
    blocks and zones are then not given. Default: none, a new network is made.
    """

    additional_cidr_blocks: NotRequired[list[str]]
    """More IPv4 CIDR blocks of this side that go through the tunnel and are admitted and masqueraded like the VPC's:
    secondary blocks of the VPC, or networks that are routed to the gateway's interface. Nothing is created for them.
    Default: none.
    """

    excluded_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks inside this side's networks that do not go through the tunnel. Their hosts still reach the
    Internet by the gateway, and what they send to the other side is dropped, not sent in the clear; the other side's
    gateway refuses what is sent to them, unless their addresses are public. Default: none.
    """

    public_subnet_cidr_block: NotRequired[str]
    """IPv4 CIDR block of the subnet of the gateway. Default: the first /24 of the VPC, or its first half when it is
    smaller than a /23.
    """

    private_subnet_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks of the private subnets. Default: one, the second /24 of the VPC, or its second half when it is
    smaller than a /23.
    """

    availability_zones: NotRequired[list[str]]
    """Availability zones, e.g. `eu-west-2a`: the first for the public subnet, then taken in turn by the private ones,
    beginning with the first again. What crosses from one zone to another, AWS charges for. Default: one for all
    subnets, the first that offers the instance type; once chosen, it is kept.
    """

    gateway_private_ip: NotRequired[str]
    """Private IPv4 address of the gateway, in the public subnet; needed with `existing_network`. Default: the last
    address that AWS leaves free.
    """

    probe_host_private_ip: NotRequired[str]
    """Private IPv4 address of a small host in a private subnet that tests the tunnel from end to end. Default: no such
    host.
    """

    instance_type: NotRequired[str]
    """EC2 instance type of the gateway and of the probe host; Graviton types get an arm64 image. Default: `t3.nano`."""

    image: NotRequired[str]
    """`debian-13`, `debian-12` (the newest image at first creation, then kept), or the id of an AMI of one of the two,
    needed in China and GovCloud: the Debian project's account is in the commercial partition. Default: `debian-13`.
    """

    root_volume_size: NotRequired[int]
    """Size of the root volumes of the gateway and of the probe host in GiB, at least that of the image; another size
    makes new instances. Default: 8.
    """

    aws_profile: NotRequired[str]
    """Profile of the shared AWS configuration to deploy this side with. Default: the ambient credentials."""

    assume_role_arn: NotRequired[str]
    """ARN of an IAM role to assume for this side, e.g. in another account. Default: none."""

    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """ARN of the IAM policy that bounds the role of the gateway's instance; with `secret_delivery: user-data` there is
    none to bound. Default: none.
    """

    kms_key_arn: NotRequired[pulumi.Input[str]]
    """ARN of the KMS key, in this side's region, that encrypts the SSM parameters and the root volumes; the gateway's
    role may then decrypt its own two parameters with it. Default: AWS's own keys `aws/ssm` and `aws/ebs`.
    """

    host_private_key: NotRequired[pulumi.Input[str]]
    """The gateway's SSH host key, OpenSSH format, ed25519, without a passphrase; secret. Needs `host_public_key`.
    Default: generated.
    """

    host_public_key: NotRequired[pulumi.Input[str]]
    """Public part of `host_private_key`: one line, `ssh-ed25519 AAAA…`; its comment is dropped."""


class VpnGatewayPairArgs(TypedDict):
    """Two sites and the tunnel between them."""

    left: SiteArgs
    """One side. `left` and `right` are the words of ipsec.conf; the sides are equals."""

    right: SiteArgs
    """The other side."""

    profile: NotRequired[TunnelProfile]
    """How the tunnel is negotiated and encrypted: `modern` or `article-2014`. Default: `modern`."""

    psk: NotRequired[pulumi.Input[str]]
    """Pre-shared key: random text that is worth 128 bits or more, printable ASCII without blank, quote and backslash,
    at most 128 characters; what people make up is refused; secret. Default: 256 random bits.
    """

    secret_delivery: NotRequired[SecretDelivery]
    """How the gateways get their secrets: `ssm` or `user-data`. Default: `ssm`."""

    administrator_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks that may reach the gateways by SSH, and no others may, also from inside the two networks; the
    host that runs Pulumi is in one of them when `verify` is on. What of them is inside one of the networks is in the
    user data: a change of that part replaces both instances, any other is made in place. Default: none.
    """

    ssh_private_key: NotRequired[pulumi.Input[str]]
    """SSH key that the verification logs in with, OpenSSH or PEM format, without a passphrase; secret. Needs
    `ssh_public_key`. Default: generated, ed25519.
    """

    ssh_public_key: NotRequired[pulumi.Input[str]]
    """Public part of the SSH key: one line. Given alone, nothing is generated and `verify` must be off."""

    verify: NotRequired[bool]
    """Whether to log in to both gateways (and probe hosts) and prove that packets cross the tunnel. Default: true."""

    verify_timeout_seconds: NotRequired[int]
    """How long the verification waits for SSH to answer, then for the tunnel, then for the SSH of a probe host, in
    seconds each; where nothing answers at all, up to half as long again and 20 s. Default: 600.
    """

    tags: NotRequired[dict[str, str]]
    """Tags of every resource that can have some, besides `Name`. Default: none."""


class PeerArgs(TypedDict):
    """The gateway at the other end of a tunnel."""

    name: str
    """Short name of the other side, e.g. `au`."""

    public_ip: pulumi.Input[str]
    """Elastic IP of the other gateway, which is no other peer's and in no range of a tunnel; its IKE identity."""

    private_ip: str
    """Private IPv4 address of the other gateway; answers the verification's pings through the tunnel."""

    cidr_blocks: list[str]
    """IPv4 CIDR blocks that are reached through the tunnel."""


class VpnGatewayArgs(TypedDict):
    """One site with its gateway, in the region of the `aws` provider it is given."""

    name: str
    """Short name of the site, e.g. `uk`: lower-case letters, digits and hyphens, at most 20. Names the hosts
    (`uk-gateway`), their tags and the connections.
    """

    cidr_block: str
    """IPv4 CIDR block of the VPC, /16 to /28, canonical, disjoint from those of the peers. With `existing_network`: the
    one of the VPC's CIDR blocks that the public subnet is in.
    """

    peers: list[PeerArgs]
    """The gateways at the other ends, at least one; all share `psk`."""

    psk: pulumi.Input[str]
    """Pre-shared key: random text that is worth 128 bits or more, printable ASCII without blank, quote and backslash,
    at most 128 characters; what people make up is refused; secret.
    """

    ssh_public_key: pulumi.Input[str]
    """SSH public key that may log in as `admin`: one line."""

    existing_network: NotRequired[ExistingNetworkArgs]
    """A VPC with its subnets and route tables that is there already. Needs `gateway_private_ip`; the subnets' CIDR
    blocks and zones are then not given. Default: none, a new network is made.
    """

    additional_cidr_blocks: NotRequired[list[str]]
    """More IPv4 CIDR blocks of this side that go through the tunnel and are admitted and masqueraded like the VPC's:
    secondary blocks of the VPC, or networks that are routed to the gateway's interface. Nothing is created for them.
    Default: none.
    """

    excluded_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks inside this side's networks that do not go through the tunnel. Their hosts still reach the
    Internet by the gateway, and what they send to the other side is dropped, not sent in the clear; the other side's
    gateway refuses what is sent to them, unless their addresses are public. Default: none.
    """

    public_subnet_cidr_block: NotRequired[str]
    """IPv4 CIDR block of the subnet of the gateway. Default: the first /24 of the VPC, or its first half when it is
    smaller than a /23.
    """

    private_subnet_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks of the private subnets. Default: one, the second /24 of the VPC, or its second half when it is
    smaller than a /23.
    """

    availability_zones: NotRequired[list[str]]
    """Availability zones: the first for the public subnet, then taken in turn by the private ones, beginning with the
    first again. What crosses from one zone to another, AWS charges for. Default: one for all subnets, the first that
    offers the instance type; once chosen, it is kept.
    """

    gateway_private_ip: NotRequired[str]
    """Private IPv4 address of the gateway, in the public subnet; needed with `existing_network`. Default: the last
    address that AWS leaves free.
    """

    probe_host_private_ip: NotRequired[str]
    """Private IPv4 address of a small host in a private subnet that tests the tunnel from end to end. Default: no such
    host.
    """

    instance_type: NotRequired[str]
    """EC2 instance type of the gateway and of the probe host; Graviton types get an arm64 image. Default: `t3.nano`."""

    image: NotRequired[str]
    """`debian-13`, `debian-12` (the newest image at first creation, then kept), or the id of an AMI of one of the two,
    needed in China and GovCloud: the Debian project's account is in the commercial partition. Default: `debian-13`.
    """

    root_volume_size: NotRequired[int]
    """Size of the root volumes of the gateway and of the probe host in GiB, at least that of the image; another size
    makes new instances. Default: 8.
    """

    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """ARN of the IAM policy that bounds the role of the gateway's instance; with `secret_delivery: user-data` there is
    none to bound. Default: none.
    """

    kms_key_arn: NotRequired[pulumi.Input[str]]
    """ARN of the KMS key, in this side's region, that encrypts the SSM parameters and the root volumes; the gateway's
    role may then decrypt its own two parameters with it. Default: AWS's own keys `aws/ssm` and `aws/ebs`.
    """

    host_private_key: NotRequired[pulumi.Input[str]]
    """The gateway's SSH host key, OpenSSH format, ed25519, without a passphrase; secret. Needs `host_public_key`.
    Default: generated.
    """

    host_public_key: NotRequired[pulumi.Input[str]]
    """Public part of `host_private_key`: one line, `ssh-ed25519 AAAA…`; its comment is dropped."""

    profile: NotRequired[TunnelProfile]
    """How the tunnels are negotiated and encrypted: `modern` or `article-2014`. Default: `modern`."""

    secret_delivery: NotRequired[SecretDelivery]
    """How the gateway gets its secrets: `ssm` or `user-data`. Default: `ssm`."""

    administrator_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks that may reach the gateway by SSH, and no others may, also from inside the site and the peers'
    networks. What of them is inside one of these is in the user data: a change of that part replaces the instance, any
    other is made in place. Default: none.
    """

    tags: NotRequired[dict[str, str]]
    """Tags of every resource that can have some, besides `Name`. Default: none."""
