"""The network of one site: VPC, subnets, Internet gateway, and a route table for each kind of subnet."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import cycle

import pulumi
from pulumi_aws import ec2

from .scope import Scope
from .settings import SiteSettings

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class SiteNetwork:
    """Everything that is there before the gateway."""

    vpc: ec2.Vpc
    internet_gateway: ec2.InternetGateway
    public_subnet: ec2.Subnet
    private_subnets: tuple[tuple[IPv4Network, ec2.Subnet], ...]
    public_routes: ec2.RouteTable
    private_routes: ec2.RouteTable
    way_out: tuple[pulumi.Resource, ...]
    """What an instance in the public subnet needs for reaching the Internet."""


def create_network(scope: Scope, site: SiteSettings) -> SiteNetwork:
    """Create the VPC with its subnets and route tables; only the private default route waits for the gateway."""
    vpc = ec2.Vpc(
        scope.name("vpc"),
        cidr_block=str(site.vpc),
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags=scope.tags("vpc"),
        opts=scope.options(),
    )
    internet_gateway = ec2.InternetGateway(
        scope.name("internet-gateway"), vpc_id=vpc.id, tags=scope.tags("internet-gateway"), opts=scope.options()
    )
    zones = cycle(site.availability_zones or (None,))
    public_subnet = _subnet(scope, vpc, "public-subnet", site.public_subnet, next(zones))
    zones = cycle(site.availability_zones or (None,))
    private_subnets = tuple(
        (network, _subnet(scope, vpc, f"private-subnet-{number}", network, next(zones)))
        for number, network in enumerate(site.private_subnets, start=1)
    )
    public_routes, public_associations = _route_table(scope, vpc, "public-routes", [public_subnet])
    # The peer's network is never routed here: what the gateway itself sends there must leave by its own policies.
    default_route = ec2.Route(
        scope.name("public-default-route"),
        route_table_id=public_routes.id,
        destination_cidr_block=ANYWHERE,
        gateway_id=internet_gateway.id,
        opts=scope.options(),
    )
    private_routes, _ = _route_table(scope, vpc, "private-routes", [subnet for _, subnet in private_subnets])
    return SiteNetwork(
        vpc=vpc,
        internet_gateway=internet_gateway,
        public_subnet=public_subnet,
        private_subnets=private_subnets,
        public_routes=public_routes,
        private_routes=private_routes,
        way_out=(default_route, *public_associations),
    )


def _subnet(scope: Scope, vpc: ec2.Vpc, thing: str, network: IPv4Network, zone: str | None) -> ec2.Subnet:
    return ec2.Subnet(
        scope.name(thing),
        vpc_id=vpc.id,
        cidr_block=str(network),
        availability_zone=zone,
        map_public_ip_on_launch=False,
        tags=scope.tags(thing),
        opts=scope.options(),
    )


def _route_table(
    scope: Scope, vpc: ec2.Vpc, thing: str, subnets: Sequence[ec2.Subnet]
) -> tuple[ec2.RouteTable, tuple[ec2.RouteTableAssociation, ...]]:
    table = ec2.RouteTable(scope.name(thing), vpc_id=vpc.id, tags=scope.tags(thing), opts=scope.options())
    associations = tuple(
        ec2.RouteTableAssociation(
            scope.name(f"{thing}-association-{number}"),
            route_table_id=table.id,
            subnet_id=subnet.id,
            opts=scope.options(),
        )
        for number, subnet in enumerate(subnets, start=1)
    )
    return table, associations
