"""Who may talk to whom: one security group for the gateway, one for the private hosts of its site."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from ..decisions.routing import ANYWHERE
from ..inputs.settings import GatewaySettings
from .network import SiteNetwork
from .scope import Scope

IKE_PORTS = {"ike": 500, "ike-nat": 4500}
"""IKE, and IKE with ESP behind NAT (RFC 3948); with encapsulation there is no bare ESP to admit."""

ALL_PROTOCOLS = "-1"

MOST_INBOUND_RULES = 60
"""Of a group, unless the quota was raised (Amazon VPC user guide, "Amazon VPC quotas")."""


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A security group and its rules, without which it admits nothing and lets nothing out."""

    group: ec2.SecurityGroup
    rules: tuple[pulumi.CustomResource, ...]


def inbound_rules(settings: GatewaySettings) -> dict[str, int]:
    """Return how many inbound rules each group has, by its name's end."""
    site = settings.site
    own, admitted = 1 + len(site.additional_cidr_blocks), len(settings.peer_ranges)
    return {
        "gateway-security-group": own + len(IKE_PORTS) * len(settings.peers) + len(settings.administrator_cidr_blocks),
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
        # A peer with another name is the same address, and a group takes a rule once.
        known = public_ip if isinstance(public_ip, str) else peer.name
        rules += [
            _ingress(scope, group, f"gateway-ingress-{protocol}-{known}", source, protocol="udp", port=port)
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
        for administrator in settings.administrator_cidr_blocks
    ]
    return Admission(group=group, rules=(*rules, _egress(scope, group, "gateway-egress")))


def create_private_hosts_group(scope: Scope, network: SiteNetwork, settings: GatewaySettings) -> Admission:
    """Create the group for private hosts: anything from their own VPC and, by the tunnels, from the peers' networks."""
    group = _group(
        scope, network, "private-hosts", "Private hosts: all from their VPC and from the networks of the peers"
    )
    rules: list[pulumi.CustomResource] = [
        *_from_the_site(scope, group, "private-hosts", settings),
        *(
            # Peers' ranges are disjoint, and a range may come to another peer.
            _ingress(scope, group, scope.by_range("private-hosts-ingress-peer", cidr_block), str(cidr_block))
            for cidr_block in settings.peer_ranges
        ),
    ]
    return Admission(group=group, rules=(*rules, _egress(scope, group, "private-hosts-egress")))


def _from_the_site(
    scope: Scope, group: ec2.SecurityGroup, thing: str, settings: GatewaySettings
) -> list[pulumi.CustomResource]:
    """Admit the VPC and whatever else is at this site."""
    site = settings.site
    return [
        _ingress(scope, group, f"{thing}-ingress-vpc", str(site.cidr_block)),
        *(
            _ingress(scope, group, scope.by_range(f"{thing}-ingress", block), str(block))
            for block in site.additional_cidr_blocks
        ),
    ]


def _group(scope: Scope, network: SiteNetwork, thing: str, description: str) -> ec2.SecurityGroup:
    return ec2.SecurityGroup(
        scope.name(f"{thing}-security-group"),
        vpc_id=network.vpc_id,
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
) -> vpc.SecurityGroupIngressRule:
    return vpc.SecurityGroupIngressRule(
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
        cidr_ipv4=str(ANYWHERE),
        ip_protocol=ALL_PROTOCOLS,
        tags=scope.tags(thing),
        opts=scope.options(),
    )
