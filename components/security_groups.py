"""Who may talk to whom: one security group for the gateway, one for the private hosts of its site."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import ec2, vpc

from .scope import Scope
from .settings import GatewaySettings
from .site_network import ANYWHERE, SiteNetwork

IKE_PORTS = {"ike": 500, "ike-nat": 4500}
"""IKE, and IKE with ESP behind NAT (RFC 3948); with encapsulation there is no bare ESP to admit."""

ALL_PROTOCOLS = "-1"


def create_gateway_group(
    scope: Scope, network: SiteNetwork, settings: GatewaySettings, peer_public_ips: Sequence[pulumi.Input[str]]
) -> tuple[ec2.SecurityGroup, vpc.SecurityGroupEgressRule]:
    """Create the gateway's group: IKE from each peer, anything from its own VPC, SSH from the administrators.

    Returns the group and its permission to send, without which an instance cannot boot.
    """
    group = _group(
        scope, network, "gateway", "VPN gateway: IKE from its peers, all from its VPC, SSH from administrators"
    )
    for peer, public_ip in zip(settings.peers, peer_public_ips, strict=True):
        source = pulumi.Output.concat(public_ip, "/32")
        for protocol, port in IKE_PORTS.items():
            _ingress(scope, group, f"gateway-ingress-{protocol}-{peer.name}", source, protocol="udp", port=port)
    _ingress(scope, group, "gateway-ingress-vpc", str(settings.site.vpc))
    for number, administrator in enumerate(settings.administrators, start=1):
        _ingress(scope, group, f"gateway-ingress-ssh-{number}", str(administrator), protocol="tcp", port=22)
    return group, _egress(scope, group, "gateway-egress")


def create_private_hosts_group(scope: Scope, network: SiteNetwork, settings: GatewaySettings) -> ec2.SecurityGroup:
    """Create the group for private hosts: anything from their own VPC and, by the tunnels, from the peers' networks."""
    group = _group(
        scope, network, "private-hosts", "Private hosts: all from their VPC and from the networks of the peers"
    )
    _ingress(scope, group, "private-hosts-ingress-vpc", str(settings.site.vpc))
    for peer in settings.peers:
        for number, cidr_block in enumerate(peer.networks, start=1):
            _ingress(scope, group, f"private-hosts-ingress-{peer.name}-{number}", str(cidr_block))
    _egress(scope, group, "private-hosts-egress")
    return group


def _group(scope: Scope, network: SiteNetwork, thing: str, description: str) -> ec2.SecurityGroup:
    return ec2.SecurityGroup(
        scope.name(f"{thing}-security-group"),
        vpc_id=network.vpc.id,
        description=description,
        tags=scope.tags(f"{thing}-security-group"),
        opts=scope.options(),
    )


def _ingress(
    scope: Scope,
    group: ec2.SecurityGroup,
    thing: str,
    source: pulumi.Input[str],
    *,
    protocol: str = ALL_PROTOCOLS,
    port: int | None = None,
) -> None:
    vpc.SecurityGroupIngressRule(
        scope.name(thing),
        security_group_id=group.id,
        cidr_ipv4=source,
        ip_protocol=protocol,
        from_port=port,
        to_port=port,
        tags=scope.tags(thing),
        opts=scope.options(),
    )


def _egress(scope: Scope, group: ec2.SecurityGroup, thing: str) -> vpc.SecurityGroupEgressRule:
    return vpc.SecurityGroupEgressRule(
        scope.name(thing),
        security_group_id=group.id,
        cidr_ipv4=ANYWHERE,
        ip_protocol=ALL_PROTOCOLS,
        tags=scope.tags(thing),
        opts=scope.options(),
    )
