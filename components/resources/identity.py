"""The parts of a gateway that outlive its instance: interface, Elastic IP, and the private subnets' routes to it."""

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import ec2

from ..decisions.routing import ANYWHERE, destinations
from ..inputs.settings import GatewaySettings
from .elastic_ip import elastic_ip
from .network import SiteNetwork
from .scope import Scope


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The resources by which everything else refers to a gateway."""

    interface: ec2.NetworkInterface
    public_ip: pulumi.Output[str]
    association: ec2.EipAssociation
    route_ids: tuple[pulumi.Output[str], ...]
    """Ids of the private routes to the interface. An element may hold several ids, joined by commas."""


def create_identity(
    scope: Scope, settings: GatewaySettings, network: SiteNetwork, group: ec2.SecurityGroup
) -> Identity:
    """Create the interface, its Elastic IP and the routes to it."""
    interface = ec2.NetworkInterface(
        scope.name("gateway-interface"),
        subnet_id=network.public_subnet_id,
        # AWS cannot change an interface's first address, so for another address the provider replaces the interface.
        private_ips=[str(settings.site.gateway_private_ip)],
        security_groups=[group.id],
        description=network.mark,
        # A gateway forwards packets that are addressed to other hosts.
        source_dest_check=False,
        tags=scope.tags("gateway-interface"),
        opts=scope.options(),
    )
    address = elastic_ip(scope, settings.site, network.mark)
    association = ec2.EipAssociation(
        scope.name("gateway-address-association"),
        # AWS associates an address only while the VPC has an Internet gateway, and detaches the Internet gateway only
        # after the last address is gone. Naming the Internet gateway makes the engine keep that order.
        allocation_id=pulumi.Output.all(address.allocation_id, network.internet_gateway_id).apply(_first),
        network_interface_id=interface.id,
        opts=scope.options(),
    )
    return Identity(
        interface=interface,
        public_ip=address.public_ip,
        association=association,
        route_ids=_routes(scope, settings, network, interface),
    )


def _first(values: list[str]) -> str:
    return values[0]


def _routes(
    scope: Scope, settings: GatewaySettings, network: SiteNetwork, interface: ec2.NetworkInterface
) -> tuple[pulumi.Output[str], ...]:
    """Create the routes; return their ids."""
    existing = settings.site.existing_network
    wanted = destinations(
        settings.peer_ranges,
        take_default_route=existing is None or existing.take_default_route,
    )

    def create(table_id: pulumi.Input[str], key: str = "") -> pulumi.Output[str]:
        routes = [
            ec2.Route(
                scope.name("-".join(["private", _route_name(destination), *([key] if key else [])])),
                route_table_id=table_id,
                destination_cidr_block=str(destination),
                network_interface_id=interface.id,
                opts=scope.options(),
            )
            for destination in wanted
        ]
        return pulumi.Output.all(*(each.id for each in routes)).apply(",".join)

    if existing is None:
        return (create(network.private_route_table_ids[0]),)
    seen: set[str] = set()

    def create_by_id(table_id: Any) -> pulumi.Output[str] | str:
        # `existing_network` refuses an id that is named twice, and a value that is not an id.
        if not isinstance(table_id, str) or table_id in seen:
            return ""
        seen.add(table_id)
        # The route's name has the table's id. With the table's index instead, removing an earlier table from the list
        # would create the route a second time, and a table takes each destination only once.
        return create(network.vpc_id.apply(lambda _: table_id), table_id)

    tables = existing.private_route_table_ids
    if isinstance(tables, pulumi.Output):

        def create_all(ids: Any) -> pulumi.Output[str]:
            return pulumi.Output.all(*(map(create_by_id, ids) if isinstance(ids, list) else ())).apply(",".join)

        return (tables.apply(create_all),)
    # Each table by itself, so that a preview shows the routes of all tables that exist already.
    return tuple(pulumi.Output.from_input(each).apply(create_by_id) for each in tables)


def _route_name(destination: object) -> str:
    return "default-route" if destination == ANYWHERE else f"route-{destination}".replace("/", "-")
