"""The arguments of the components. The text under each field is its documentation in every Pulumi language.

Fields of a plain type (`str`, not `pulumi.Input[str]`) decide which resources exist, so their values must be known when
the program runs. `settings` reads the arguments.
"""

from enum import Enum
from typing import Final, NotRequired, TypedDict

import pulumi

from ..decisions.monitoring import MetricSet
from ..decisions.tunnel import TunnelProfile

SECRETS: Final = frozenset({"psk", "ppk", "host_private_key", "ssh_private_key"})
"""Arguments and outputs whose values are secret."""


def camel_case(name: str) -> str:
    """Return the name of an argument or output as other languages and the stack configuration write it."""
    first, *others = name.split("_")
    return "".join([first, *(word.capitalize() for word in others)])


class SecretDelivery(Enum):
    """How a gateway gets its pre-shared key and its SSH host key."""

    SSM = "ssm"
    """By SSM SecureString parameters, which the instance's own role reads at boot. The user data has no secret."""
    USER_DATA = "user-data"
    """In the user data, for accounts without IAM rights. Everyone who may call ec2:DescribeInstanceAttribute can read
    them.
    """


class ExistingNetworkArgs(TypedDict):
    """An existing network, which does not belong to the component.

    The component changes only the route tables in `private_route_table_ids`: it adds the routes to the gateway, and
    `destroy` removes them. It never replaces an existing route. A table with a route in the way is refused.
    """

    vpc_id: pulumi.Input[str]
    """Id of the VPC."""

    public_subnet_id: pulumi.Input[str]
    """Id of the subnet for the gateway. Its default route must lead to an Internet gateway."""

    private_route_table_ids: pulumi.Input[list[pulumi.Input[str]]]
    """Ids of the route tables of the private subnets, e.g. one for each availability zone; at least one. The list may
    be one Output, e.g. of a `StackReference`. The order does not matter. A preview does not show the routes of a table
    that is yet to be created.
    """

    take_default_route: NotRequired[bool]
    """Whether the route tables get a default route to the gateway, which is then the NAT for their subnets. With false,
    they get routes to the ranges of the peers only, and keep the default route that they have. Default: true.
    """

    private_subnet_id: NotRequired[pulumi.Input[str]]
    """Id of the private subnet of the probe host; required with `probe_host_private_ip`. Default: none."""

    internet_gateway_id: NotRequired[pulumi.Input[str]]
    """Id of the Internet gateway that the default route of the public subnet must lead to. Set it when the same program
    creates the Internet gateway: the gateway's address is then created after it and deleted before it. Default: any.
    """


class MonitoringArgs(TypedDict):
    """How CloudWatch watches one gateway.

    An alarm restarts an instance that hangs, and another one moves it off failing hardware.
    """

    metrics: NotRequired[MetricSet]
    """Which metrics the gateway publishes once a minute: `basic` or `detailed`. CloudWatch charges for each. Default:
    `basic`.
    """

    alarm_topic_arns: NotRequired[list[pulumi.Input[str]]]
    """ARNs of SNS topics in the gateway's region, which its alarms notify when they begin and end. Default: none."""

    dashboard: NotRequired[bool]
    """Whether to create a dashboard of the gateway. Default: true."""


class PairMonitoringArgs(TypedDict):
    """How CloudWatch watches both gateways.

    An alarm restarts an instance that hangs, and another one moves it off failing hardware.
    """

    metrics: NotRequired[MetricSet]
    """Which metrics each gateway publishes once a minute: `basic` or `detailed`. CloudWatch charges for each. Default:
    `basic`.
    """

    left_alarm_topic_arns: NotRequired[list[pulumi.Input[str]]]
    """ARNs of SNS topics in the left region, which the alarms of the left gateway notify when they begin and end.
    Default: none.
    """

    right_alarm_topic_arns: NotRequired[list[pulumi.Input[str]]]
    """The same for the right gateway. Default: none."""

    dashboard: NotRequired[bool]
    """Whether to create one dashboard of both gateways, with the credentials of the left side. Default: true."""


class CommonArgs(TypedDict):
    """The arguments that a side of a pair and a `VpnGateway` have in common."""

    name: str
    """Short name of the site, e.g. `uk`: lower-case letters, digits and hyphens, at most 20. It names the hosts
    (`uk-gateway`), their tags and the connections.
    """

    cidr_block: str
    """IPv4 CIDR block of the VPC: a canonical /16 to /28 that overlaps no CIDR block of a peer. With
    `existing_network`: the CIDR block of that VPC that contains the public subnet.
    """

    existing_network: NotRequired[ExistingNetworkArgs]
    """An existing VPC with its subnets and route tables. Requires `gateway_private_ip`, and excludes the arguments for
    subnets and availability zones. Default: none; a new network is created.
    """

    additional_cidr_blocks: NotRequired[list[str]]
    """More IPv4 CIDR blocks of this site: secondary blocks of the VPC, or networks that are routed to the gateway's
    network interface. Like the VPC's, they go through the tunnel, are admitted by the security groups and reach the
    Internet through the gateway. No resources are created in them. Default: none.
    """

    excluded_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks inside those of this site that do not go through the tunnel. Their hosts still reach the
    Internet through the gateway. What they send to a peer's ranges is dropped, never sent in clear text. The peer's
    gateway refuses what is sent to them, unless their addresses are public. Default: none.
    """

    public_subnet_cidr_block: NotRequired[str]
    """IPv4 CIDR block of the subnet for the gateway. Default: the first /24 of the VPC, or its first half if the VPC is
    smaller than a /23.
    """

    private_subnet_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks of the private subnets. Default: one subnet, the second /24 of the VPC, or its second half if
    the VPC is smaller than a /23.
    """

    availability_zones: NotRequired[list[str]]
    """Availability zones, e.g. `eu-west-2a`. The public subnet is in the first. The private subnets take the zones in
    turn, starting with the first. AWS charges for traffic between zones. Default: one zone for all subnets, the first
    that offers the instance type; it is chosen once and then kept.
    """

    gateway_private_ip: NotRequired[str]
    """Private IPv4 address of the gateway, in the public subnet; required with `existing_network`. Default: the last
    address of the subnet that AWS does not reserve.
    """

    probe_host_private_ip: NotRequired[str]
    """Private IPv4 address of a probe host: a small instance in a private subnet that tests the tunnel from end to end.
    Default: no probe host.
    """

    allocation_id: NotRequired[pulumi.Input[str]]
    """Allocation id of an Elastic IP of yours, `eipalloc-…`, for the gateway, e.g. one that others admit. It must be in
    this site's region and not be in use. The component associates it with the gateway, and never changes or releases
    it. Default: none; an Elastic IP is created.
    """

    retain_elastic_ip: NotRequired[bool]
    """Whether the Elastic IP that is created here is kept, and paid for, when it is no longer needed or the stack is
    destroyed. Not allowed with `allocation_id`. Default: false.
    """

    instance_type: NotRequired[str]
    """EC2 instance type of the gateway and of the probe host. Graviton types get an arm64 image. Default: `t3.nano`."""

    image: NotRequired[str]
    """`debian-13` or `debian-12` (the newest image when the site is created, then kept), or the id of an AMI of either
    release. China and GovCloud require an id, because the Debian project's account is in the commercial partition.
    Default: `debian-13`.
    """

    root_volume_size: NotRequired[int]
    """Size in GiB of the root volumes of the gateway and of the probe host, at least the size of the image. Larger
    volumes grow in place: with a login (`verify`, or `ssh_private_key`), the gateway's file system grows at once,
    otherwise at its next boot, as the probe host's does. A volume cannot shrink: a smaller size is refused unless the
    instances are replaced. Default: 8.
    """

    update_window: NotRequired[str]
    """When the gateway may install Debian's security updates, restart services and reboot: two hours a day that begin
    at this time in UTC, e.g. `"02:00"`. An update or a reboot waits for the next day while a tunnel is down. The sides
    of a pair both have a window or neither has one, and the windows do not overlap. Requires `verify` in a pair, and
    `ssh_private_key` in a `VpnGateway`. Default: none; the updates are installed as the image is configured.
    """

    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """ARN of the IAM policy that is the permissions boundary of the gateway's role. Not allowed when `secret_delivery`
    is `user-data`, because then the gateway has no role. Default: none.
    """

    kms_key_arn: NotRequired[pulumi.Input[str]]
    """ARN of the KMS key, in the region of this site, that encrypts the SSM parameters and the root volumes. The
    gateway's role may use it to decrypt its own parameters. Default: the AWS managed keys `aws/ssm` and `aws/ebs`.
    """

    host_private_key: NotRequired[pulumi.Input[str]]
    """SSH host key of the gateway: OpenSSH format, ed25519, without a passphrase; secret. Requires `host_public_key`.
    Default: generated.
    """

    host_public_key: NotRequired[pulumi.Input[str]]
    """Public part of `host_private_key`: one line, `ssh-ed25519 AAAA…`; a comment is dropped."""


class SiteArgs(CommonArgs):
    """One side of a pair: a network in one region and its gateway."""

    region: str
    """AWS region, e.g. `eu-west-2`."""

    aws_profile: NotRequired[str]
    """Profile of the shared AWS configuration that deploys this side. Default: the ambient credentials."""

    assume_role_arn: NotRequired[str]
    """ARN of an IAM role to assume for this side, e.g. in another account. Default: none."""


class VpnGatewayPairArgs(TypedDict):
    """Two sites and the tunnel between them."""

    left: SiteArgs
    """One side. The names `left` and `right` are those of ipsec.conf; the sides are equals."""

    right: SiteArgs
    """The other side."""

    profile: NotRequired[TunnelProfile]
    """How the tunnel is negotiated and encrypted: `modern` or `article-2014`. Default: `modern`."""

    psk: NotRequired[pulumi.Input[str]]
    """Pre-shared key: random text worth at least 128 bits, at most 128 characters of printable ASCII without blanks,
    quotes and backslashes; secret. Text that a person made up is refused. Default: 256 random bits.
    """

    ppk: NotRequired[pulumi.Input[str]]
    """Postquantum pre-shared key (RFC 8784): random text worth at least 256 bits, at most 66 characters of the same
    kind as `psk`, and not the same text; secret. Default: 256 random bits, if `postquantum` is true.
    """

    postquantum: NotRequired[bool]
    """Whether the tunnel insists on a postquantum pre-shared key, so that a quantum computer cannot decrypt recorded
    traffic without it. The profile `article-2014` has none, because it is IKEv1. Default: true.
    """

    secret_delivery: NotRequired[SecretDelivery]
    """How the gateways get their secrets: `ssm` or `user-data`. Default: `ssm`."""

    administrator_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks that may reach the gateways by SSH. All others may not, also from inside the two networks. With
    `verify`, one of them contains the host that runs Pulumi. A change to the part of them that is inside one of the two
    networks replaces both instances if `verify` is false; any other change is made in place. Default: none.
    """

    ssh_private_key: NotRequired[pulumi.Input[str]]
    """SSH key that the verification logs in with: OpenSSH or PEM format, without a passphrase; secret. Requires
    `ssh_public_key`. Default: generated, ed25519.
    """

    ssh_public_key: NotRequired[pulumi.Input[str]]
    """Public part of `ssh_private_key`: one line. If it is alone, no key is generated and `verify` must be false."""

    ssh_authorized_keys: NotRequired[list[pulumi.Input[str]]]
    """More SSH public keys (ed25519, RSA) that may log in to the gateways as `admin`; changed in place. So is
    `ssh_private_key`, if the public part of the other key was here before. Requires `verify`. Default: none.
    """

    verify: NotRequired[bool]
    """Whether to log in to both gateways (and probe hosts) and prove that packets cross the tunnel. A change of the
    gateways' configuration is then made on the running gateways; otherwise it replaces their instances. Default: true.
    """

    verify_timeout_seconds: NotRequired[int]
    """Seconds that the verification waits for SSH, then as long for the tunnel, then as long for the SSH of a probe
    host. An address that does not answer at all takes up to half as long again and 20 s. With `monitoring`, the tunnel
    has at least 150 s, because its first minute of metrics is waited for. Default: 600.
    """

    monitoring: NotRequired[PairMonitoringArgs]
    """Metrics, alarms and a dashboard in Amazon CloudWatch. Requires `verify`, and `secret_delivery` `ssm`. An empty
    object has all defaults. Default: none.
    """

    tags: NotRequired[dict[str, str]]
    """Tags of every resource that can have tags, in addition to `Name`. Default: none."""


class PeerArgs(TypedDict):
    """A peer: the gateway at the other end of a tunnel, of this project or of another make."""

    name: str
    """Short name of the peer's site, e.g. `au`."""

    public_ip: pulumi.Input[str]
    """Public IPv4 address of the peer, its IKE identity. No other peer has it, and no range of a tunnel contains it."""

    private_ip: NotRequired[str]
    """Private IPv4 address of the peer, in one of `cidr_blocks`. It answers pings through the tunnel. Default: unknown;
    the tunnel is then judged by its SAs and counters, and nothing proves that packets cross it.
    """

    cidr_blocks: list[str]
    """IPv4 CIDR blocks that are reached through the tunnel."""


class VpnGatewayArgs(CommonArgs):
    """One site with its gateway, in the region of the `aws` provider of the component."""

    peers: NotRequired[list[PeerArgs]]
    """The peers; all share `psk` and `ppk`. Default: none; the gateway is then the NAT of its private subnets, without
    tunnels and without Libreswan. The first peer, and the end of the last one, replace the instance.
    """

    psk: NotRequired[pulumi.Input[str]]
    """Pre-shared key: random text worth at least 128 bits, at most 128 characters of printable ASCII without blanks,
    quotes and backslashes; secret. Text that a person made up is refused. Required with `peers`, and refused without
    them. Default: none.
    """

    ppk: NotRequired[pulumi.Input[str]]
    """Postquantum pre-shared key (RFC 8784): random text worth at least 256 bits, at most 66 characters of the same
    kind as `psk`, and not the same text; secret. With it, the gateway refuses peers that do not have it. Its PPK_ID is
    `vpn`. Requires the profile `modern`. Default: none.
    """

    ssh_public_key: pulumi.Input[str]
    """SSH public key that may log in as `admin`: one line."""

    ssh_private_key: NotRequired[pulumi.Input[str]]
    """Private part of `ssh_public_key`: OpenSSH or PEM format, without a passphrase; secret. With it, a change of the
    gateway's configuration is made over SSH on the running gateway, and one of `administrator_cidr_blocks` contains the
    host that runs Pulumi. Default: none; such a change then replaces the instance.
    """

    ssh_authorized_keys: NotRequired[list[pulumi.Input[str]]]
    """More SSH public keys (ed25519, RSA) that may log in as `admin`; changed in place. So is `ssh_private_key`, if the
    public part of the other key was here before. Requires `ssh_private_key`. Default: none.
    """

    profile: NotRequired[TunnelProfile]
    """How the tunnels are negotiated and encrypted: `modern` or `article-2014`. Default: `modern`."""

    secret_delivery: NotRequired[SecretDelivery]
    """How the gateway gets its secrets: `ssm` or `user-data`. Default: `ssm`."""

    administrator_cidr_blocks: NotRequired[list[str]]
    """IPv4 CIDR blocks that may reach the gateway by SSH. All others may not, also from inside the site and the ranges
    of its peers. A change to the part of them that is inside one of these replaces the instance unless
    `ssh_private_key` is given; any other change is made in place. Default: none.
    """

    monitoring: NotRequired[MonitoringArgs]
    """Metrics, alarms and a dashboard in Amazon CloudWatch. Requires `ssh_private_key`, and `secret_delivery` `ssm`. An
    empty object has all defaults. Default: none.
    """

    tags: NotRequired[dict[str, str]]
    """Tags of every resource that can have tags, in addition to `Name`. Default: none."""
