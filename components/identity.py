"""What of a gateway stays when its instance goes: interface, Elastic IP, and the private subnets' way to it."""

from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from .routing import ANYWHERE, destinations
from .scope import Scope
from .settings import GatewaySettings
from .site_network import SiteNetwork


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The gateway as everything else knows it."""

    interface: ec2.NetworkInterface
    elastic_ip: ec2.Eip
    association: ec2.EipAssociation
    routes: tuple[ec2.Route, ...]
    """From the private subnets to the interface."""


def create_identity(
    scope: Scope, settings: GatewaySettings, network: SiteNetwork, group: ec2.SecurityGroup
) -> Identity:
    """Create the interface with its address, and the routes to it."""
    address = str(settings.site.gateway_address)
    # AWS changes an interface's first address never (UnassignPrivateIpAddresses takes secondary ones), but the provider
    # would try: another address is another interface.
    another = pulumi.ResourceOptions(replacement_trigger=address)
    interface = ec2.NetworkInterface(
        scope.name("gateway-interface"),
        subnet_id=network.public_subnet_id,
        private_ips=[address],
        security_groups=[group.id],
        # By this, later previews know which routes of an existing table are the component's own.
        description=scope.mark("gateway"),
        # It forwards what is addressed to others: that is what a gateway is for.
        source_dest_check=False,
        tags=scope.tags("gateway-interface"),
        opts=pulumi.ResourceOptions.merge(scope.options(), another),
    )
    elastic_ip = ec2.Eip(
        scope.name("gateway-address"), domain="vpc", tags=scope.tags("gateway-address"), opts=scope.options()
    )
    association = ec2.EipAssociation(
        scope.name("gateway-address-association"),
        # AWS associates no address in a VPC without an Internet gateway, and detaches none while an address is there.
        allocation_id=pulumi.Output.all(elastic_ip.allocation_id, network.internet_gateway_id).apply(_first),
        network_interface_id=interface.id,
        opts=scope.options(),
    )
    return Identity(
        interface=interface,
        elastic_ip=elastic_ip,
        association=association,
        routes=_routes(scope, settings, network, interface),
    )


def _first(values: list[str]) -> str:
    return values[0]


def _routes(
    scope: Scope, settings: GatewaySettings, network: SiteNetwork, interface: ec2.NetworkInterface
) -> tuple[ec2.Route, ...]:
    existing = settings.site.existing
    wanted = destinations(
        [network for peer in settings.peers for network in peer.networks],
        take_default_route=existing is None or existing.take_default_route,
    )
    return tuple(
        ec2.Route(
            scope.name("-".join(["private", _thing(destination), *([key] if key else [])])),
            route_table_id=table_id,
            destination_cidr_block=str(destination),
            network_interface_id=interface.id,
            opts=scope.options(),
        )
        for key, table_id in network.private_route_tables
        for destination in wanted
    )


def _thing(destination: object) -> str:
    return "default-route" if destination == ANYWHERE else f"route-{destination}".replace("/", "-")
