"""The security groups of one site: one for the gateway, one for the private hosts."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from ..decisions.routing import ANYWHERE
from ..inputs.settings import GatewaySettings
from .network import SiteNetwork
from .scope import Scope

IKE_PORTS = {"ike": 500, "ike-nat": 4500}
"""IKE, and IKE with ESP behind NAT (RFC 3948). All ESP is encapsulated, so bare ESP is not admitted."""

ALL_PROTOCOLS = "-1"

MOST_INBOUND_RULES = 60
"""Inbound rules of one group, unless the quota was raised (Amazon VPC user guide, "Amazon VPC quotas")."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A security group and its rules. Without rules, a group admits nothing and lets nothing out."""

    group: ec2.SecurityGroup
    rules: tuple[pulumi.CustomResource, ...]


def inbound_rules(settings: GatewaySettings) -> dict[str, int]:
    """Return the number of inbound rules of each group, by the end of its name."""
    site = settings.site
    own, admitted = 1 + len(site.additional), sum(len(peer.networks) for peer in settings.peers)
    return {
        "gateway-security-group": own + len(IKE_PORTS) * len(settings.peers) + len(settings.administrators),
        "private-hosts-security-group": own + admitted,
    }


def create_gateway_group(
    scope: Scope, network: SiteNetwork, settings: GatewaySettings, peer_public_ips: Sequence[pulumi.Input[str]]
) -> Admission:
    """Create the gateway's group: IKE from each peer, anything from its own VPC, SSH from the administrators."""
    group = _group(
        scope, network, "gateway", "VPN gateway: IKE from its peers, all from its VPC, SSH from administrators"
    )
    rules: list[pulumi.CustomResource] = []
    for peer, public_ip in zip(settings.peers, peer_public_ips, strict=True):
        source = pulumi.Output.concat(public_ip, "/32")
        # A known address identifies the peer even after it was renamed, and a group takes each rule only once.
        identifier = public_ip if isinstance(public_ip, str) else peer.name
        rules += [
            _ingress(scope, group, f"gateway-ingress-{protocol}-{identifier}", source, protocol="udp", port=port)
            for protocol, port in IKE_PORTS.items()
        ]
    rules += _from_the_site(scope, group, "gateway", settings)
    rules += [
        _ingress(
            scope,
            group,
            scope.by_range("gateway-ingress-ssh", administrator),
            str(administrator),
            protocol="tcp",
            port=22,
        )
        for administrator in settings.administrators
    ]
    return Admission(group=group, rules=(*rules, _egress(scope, group, "gateway-egress")))


def create_private_hosts_group(scope: Scope, network: SiteNetwork, settings: GatewaySettings) -> Admission:
    """Create the private hosts' group: anything from their own VPC and, through the tunnels, from the peers' ranges."""
    group = _group(
        scope, network, "private-hosts", "Private hosts: all from their VPC and from the networks of the peers"
    )
    rules: list[pulumi.CustomResource] = [
        *_from_the_site(scope, group, "private-hosts", settings),
        *(
            # Named by the range alone: peers' ranges are disjoint, and a range may move to another peer.
            _ingress(scope, group, scope.by_range("private-hosts-ingress-peer", cidr_block), str(cidr_block))
            for peer in settings.peers
            for cidr_block in peer.networks
        ),
    ]
    return Admission(group=group, rules=(*rules, _egress(scope, group, "private-hosts-egress")))


def _from_the_site(
    scope: Scope, group: ec2.SecurityGroup, name: str, settings: GatewaySettings
) -> list[pulumi.CustomResource]:
    """Admit the VPC and the site's additional ranges."""
    site = settings.site
    return [
        _ingress(scope, group, f"{name}-ingress-vpc", str(site.vpc)),
        *(_ingress(scope, group, scope.by_range(f"{name}-ingress", block), str(block)) for block in site.additional),
    ]


def _group(scope: Scope, network: SiteNetwork, name: str, description: str) -> ec2.SecurityGroup:
    return ec2.SecurityGroup(
        scope.name(f"{name}-security-group"),
        vpc_id=network.vpc_id,
        description=description,
        tags=scope.tags(f"{name}-security-group"),
        opts=scope.options(),
    )


def _ingress(
    scope: Scope,
    group: ec2.SecurityGroup,
    name: str,
    source: pulumi.Input[str],
    *,
    protocol: str = ALL_PROTOCOLS,
    port: int | None = None,
) -> vpc.SecurityGroupIngressRule:
    return vpc.SecurityGroupIngressRule(
        scope.name(name),
        security_group_id=group.id,
        cidr_ipv4=source,
        ip_protocol=protocol,
        from_port=port,
        to_port=port,
        tags=scope.tags(name),
        opts=scope.options(),
    )


def _egress(scope: Scope, group: ec2.SecurityGroup, name: str) -> vpc.SecurityGroupEgressRule:
    return vpc.SecurityGroupEgressRule(
        scope.name(name),
        security_group_id=group.id,
        cidr_ipv4=str(ANYWHERE),
        ip_protocol=ALL_PROTOCOLS,
        tags=scope.tags(name),
        opts=scope.options(),
    )
