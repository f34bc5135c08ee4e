"""A new network of one site: VPC, subnets, Internet gateway, and a route table for each kind of subnet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from itertools import cycle

import pulumi
from pulumi_aws import ec2

from ..decisions.addressing import subnet_of
from ..decisions.routing import ANYWHERE
from ..inputs.site import SiteSettings
from .scope import Scope
from .taken_ranges import check_taken_ranges


@dataclass(frozen=True, kw_only=True)
class SiteNetwork:
    """A site's network, new or existing."""

    vpc_id: pulumi.Output[str]
    public_subnet_id: pulumi.Output[str]
    private_subnet_ids: pulumi.Output[list[str]]
    public_route_table_id: pulumi.Output[str]
    private_route_table_ids: pulumi.Output[list[str]]
    internet_gateway_id: pulumi.Output[str]
    probe_host_subnet_id: pulumi.Output[str]
    """Subnet of the probe host, if there is one."""
    zones: pulumi.Output[list[str]]
    """Availability zones of the instances."""
    mark: pulumi.Input[str]
    """Description of the gateway's interface; matches `Scope.every_mark`."""
    way_out: tuple[pulumi.CustomResource, ...] = ()
    """The resources made here without which an instance in the public subnet does not reach the Internet."""
    private_associations: tuple[ec2.RouteTableAssociation, ...] = ()


def create_network(
    scope: Scope, site: SiteSettings, public: IPv4Network, zones: Sequence[pulumi.Input[str]]
) -> SiteNetwork:
    """Create the VPC with its subnets and route tables. The private default route is made later, with the gateway.

    The first of `zones` is the public subnet's. The private subnets take the zones in turn.
    """
    vpc = ec2.Vpc(
        scope.name("vpc"),
        cidr_block=str(site.vpc),
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags=scope.tags("vpc"),
        opts=scope.options(),
    )
    # Without this, the provider moves it to another VPC in place. AWS refuses that while the gateway has its public
    # address (Amazon EC2 API reference, "DetachInternetGateway"), and the gateway waits for the move.
    replaced = pulumi.ResourceOptions(replace_on_changes=["vpcId"])
    internet_gateway = ec2.InternetGateway(
        scope.name("internet-gateway"),
        vpc_id=vpc.id,
        tags=scope.tags("internet-gateway"),
        opts=pulumi.ResourceOptions.merge(scope.options(), replaced),
    )
    public_subnet = _subnet(scope, vpc, "public-subnet", public, zone=zones[0], probe_host=None)
    zone_of = dict(zip(site.private_subnets, cycle(zones), strict=False))
    private_subnets = {
        network: _subnet(
            scope,
            vpc,
            scope.by_range("private-subnet", network),
            network,
            zone=zone,
            probe_host=site.probe_host_address,
        )
        for network, zone in zone_of.items()
    }
    public_routes, public_associations = _route_table(scope, vpc, "public-routes", {public: public_subnet})
    # The peer's network has no route here: the gateway's own packets to it must leave by its IPsec policies.
    default_route = ec2.Route(
        scope.name("public-default-route"),
        route_table_id=public_routes.id,
        destination_cidr_block=str(ANYWHERE),
        gateway_id=internet_gateway.id,
        opts=scope.options(),
    )
    private_routes, private_associations = _route_table(scope, vpc, "private-routes", private_subnets)
    home = site.probe_host_address and subnet_of(site.probe_host_address, site.private_subnets)
    used = [zones[0], *([zone_of[home]] if home else [])]
    return SiteNetwork(
        vpc_id=vpc.id,
        public_subnet_id=public_subnet.id,
        private_subnet_ids=pulumi.Output.all(*(subnet.id for subnet in private_subnets.values())),
        public_route_table_id=public_routes.id,
        private_route_table_ids=pulumi.Output.all(private_routes.id),
        internet_gateway_id=internet_gateway.id,
        probe_host_subnet_id=private_subnets[home or site.private_subnets[0]].id,
        zones=pulumi.Output.all(*used),
        mark=f"gateway of {scope.resource_name}",
        way_out=(default_route, *public_associations),
        private_associations=private_associations,
    )


def _subnet(
    scope: Scope,
    vpc: ec2.Vpc,
    name: str,
    network: IPv4Network,
    *,
    zone: pulumi.Input[str],
    probe_host: IPv4Address | None,
) -> ec2.Subnet:
    # Another zone replaces the subnet, and a VPC has one subnet of a range at a time.
    delete_first = pulumi.ResourceOptions(delete_before_replace=True)
    check = check_taken_ranges(scope, name, probe_host)
    return ec2.Subnet(
        scope.name(name),
        vpc_id=vpc.id,
        cidr_block=str(network),
        availability_zone=zone,
        map_public_ip_on_launch=False,
        tags=scope.tags(name),
        opts=pulumi.ResourceOptions.merge(pulumi.ResourceOptions.merge(scope.options(), delete_first), check),
    )


def _route_table(
    scope: Scope, vpc: ec2.Vpc, name: str, subnets: Mapping[IPv4Network, ec2.Subnet]
) -> tuple[ec2.RouteTable, tuple[ec2.RouteTableAssociation, ...]]:
    table = ec2.RouteTable(scope.name(name), vpc_id=vpc.id, tags=scope.tags(name), opts=scope.options())
    associations = tuple(
        ec2.RouteTableAssociation(
            scope.name(scope.by_range(f"{name}-association", network)),
            route_table_id=table.id,
            subnet_id=subnet.id,
            opts=scope.options(),
        )
        for network, subnet in subnets.items()
    )
    return table, associations
