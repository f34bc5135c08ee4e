"""A network that is there already: looked up as soon as its ids are known, checked, and not touched."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

import pulumi
from pulumi_aws import ec2

from .addressing import Problem, check_host
from .reader import SettingsError
from .routing import ANYWHERE, TableRoute, route_problems
from .scope import Scope
from .settings import GatewaySettings
from .site_network import SiteNetwork
from .site_settings import ExistingNetwork

_TARGETS = (
    "carrier_gateway_id",
    "core_network_arn",
    "egress_only_gateway_id",
    "gateway_id",
    "local_gateway_id",
    "nat_gateway_id",
    # Before the instance: AWS names both for a route to an interface that is attached.
    "network_interface_id",
    "instance_id",
    "transit_gateway_id",
    "vpc_endpoint_id",
    "vpc_peering_connection_id",
)


def use_network(scope: Scope, settings: GatewaySettings, existing: ExistingNetwork) -> SiteNetwork:
    """Return a network that is there already, once it is found to be what the arguments say.

    Every id in it waits for that: nothing is created in a network that is refused. What is wrong is told by
    `SettingsError`, all at once: at preview when the ids are known then.
    """
    lookups = _Lookups(scope, existing)
    ids = pulumi.Output.all(
        vpc=lookups.vpc(), subnets=lookups.subnets(), tables=lookups.tables(), own=lookups.own_interfaces()
    ).apply(lambda found: _checked(scope, settings, existing, found))
    public_routes = lookups.public_routes(ids)
    return SiteNetwork(
        vpc_id=ids["vpc"],
        public_subnet_id=ids["public_subnet"],
        private_subnet_ids=ids["private_subnets"],
        public_route_table_id=public_routes["id"],
        private_route_tables=tuple(
            (_key(number, table_id), ids["tables"][number - 1])
            for number, table_id in enumerate(existing.private_route_table_ids, start=1)
        ),
        internet_gateway_id=public_routes["internet_gateway"],
        probe_host_subnet_id=ids["probe_host_subnet"],
    )


def _key(number: int, table_id: pulumi.Input[str]) -> str:
    # By its place, a route would be replaced, and be there twice meanwhile, when a table before it is taken out.
    return table_id if isinstance(table_id, str) else str(number)


class _Lookups:
    """What AWS is asked about the network, as the side's provider."""

    def __init__(self, scope: Scope, existing: ExistingNetwork) -> None:
        self._scope = scope
        self._existing = existing
        self._options = pulumi.InvokeOutputOptions(parent=scope.parent)

    def vpc(self) -> pulumi.Output[ec2.GetVpcResult]:
        return ec2.get_vpc_output(id=self._known(self._existing.vpc_id), opts=self._options)

    def subnets(self) -> pulumi.Output[list[ec2.GetSubnetResult]]:
        """Look up the public subnet, then the probe host's, if there is one."""
        ids = [each for each in (self._existing.public_subnet_id, self._existing.private_subnet_id) if each is not None]
        return pulumi.Output.all(*(ec2.get_subnet_output(id=self._known(each), opts=self._options) for each in ids))

    def tables(self) -> pulumi.Output[list[ec2.GetRouteTableResult]]:
        ids = self._existing.private_route_table_ids
        return pulumi.Output.all(
            *(ec2.get_route_table_output(route_table_id=self._known(each), opts=self._options) for each in ids)
        )

    def own_interfaces(self) -> pulumi.Output[list[str]]:
        """Look up the interfaces of this very gateway, which is there in all previews but the first."""
        mine = ec2.GetNetworkInterfacesFilterArgs(name="description", values=[self._scope.mark("gateway")])
        found = ec2.get_network_interfaces_output(filters=[mine], opts=self._options)
        return found.ids

    def public_routes(self, ids: pulumi.Output[dict[str, Any]]) -> pulumi.Output[dict[str, str]]:
        """Look up the public subnet's route table: its own, else the VPC's main one."""
        chosen = ids["public_subnet"].apply(
            lambda subnet_id: [ec2.GetRouteTablesFilterArgs(name="association.subnet-id", values=[subnet_id])]
        )
        explicit = ec2.get_route_tables_output(filters=chosen, opts=self._options)
        table_id = pulumi.Output.all(explicit.ids, ids["main_table"]).apply(lambda found: [*found[0], found[1]][0])
        table = ec2.get_route_table_output(route_table_id=table_id, opts=self._options)
        given = self._existing.internet_gateway_id
        return pulumi.Output.all(table, given).apply(lambda found: _way_out(self._scope, *found))

    def _known(self, given: pulumi.Input[str]) -> pulumi.Output[str]:
        """Return the id once all that the component depends on is there, without depending on the component."""

        async def registered() -> None:
            await self._scope.parent.urn.future()

        return pulumi.Output.all(given, registered()).apply(lambda values: str(values[0]))


def _checked(
    scope: Scope, settings: GatewaySettings, existing: ExistingNetwork, found: dict[str, Any]
) -> dict[str, Any]:
    """Return the ids of what was found; raises `SettingsError` with everything that is not as the arguments say."""
    vpc, subnets, tables = found["vpc"], found["subnets"], found["tables"]
    problems = _vpc_problems(settings, vpc)
    site = settings.site
    hosts = (
        ("public_subnet_id", "gateway_private_ip", site.gateway_address),
        ("private_subnet_id", "probe_host_private_ip", site.probe_host_address),
    )
    for (setting, host, address), subnet in zip(hosts, subnets, strict=False):  # no probe host, no subnet of it
        problems += _foreign(f"existing_network.{setting}", subnet.id, subnet.vpc_id, vpc.id)
        problems += check_host(host, address, [IPv4Network(subnet.cidr_block)]) if address else []
    for number, table in enumerate(tables):
        setting = f"existing_network.private_route_table_ids[{number}]"
        problems += _foreign(setting, table.id, table.vpc_id, vpc.id)
        problems += route_problems(
            setting,
            table.id,
            _routes(table),
            peer_networks=[network for peer in settings.peers for network in peer.networks],
            take_default_route=existing.take_default_route,
            own=found["own"],
        )
    if problems:
        raise SettingsError(f"VpnGateway {scope.resource_name!r}", problems)
    return {
        "vpc": vpc.id,
        "main_table": vpc.main_route_table_id,
        "public_subnet": subnets[0].id,
        "probe_host_subnet": subnets[-1].id,
        "tables": [table.id for table in tables],
        "private_subnets": _associated(tables),
    }


def _vpc_problems(settings: GatewaySettings, vpc: ec2.GetVpcResult) -> list[Problem]:
    blocks = [each.cidr_block for each in vpc.cidr_block_associations] or [vpc.cidr_block]
    if str(settings.site.vpc) in blocks:
        return []
    rule = f"is no CIDR block of {vpc.id}, which has {', '.join(blocks)}"
    return [Problem(setting="cidr_block", value=str(settings.site.vpc), rule=rule, remedy=f"use {blocks[0]}")]


def _foreign(setting: str, thing: str, home: str, vpc_id: str) -> list[Problem]:
    if home == vpc_id:
        return []
    return [Problem(setting=setting, value=thing, rule=f"is in {home}, not in {vpc_id}", remedy=f"use one of {vpc_id}")]


def _routes(table: ec2.GetRouteTableResult) -> list[TableRoute]:
    return [
        TableRoute(destination=IPv4Network(route.cidr_block), target=_target(route))
        for route in table.routes
        if route.cidr_block
    ]


def _target(route: Any) -> str:
    return next((str(value) for name in _TARGETS if (value := getattr(route, name, None))), "nothing any more")


def _associated(tables: Sequence[ec2.GetRouteTableResult]) -> list[str]:
    return [each.subnet_id for table in tables for each in table.associations if each.subnet_id]


def _way_out(scope: Scope, table: ec2.GetRouteTableResult, given: str | None) -> dict[str, str]:
    """Return the public route table and the Internet gateway it leads to; warn when there is none.

    No more than a warning: whoever creates the route in the same program has not got it at preview.
    """
    targets = [route.target for route in _routes(table) if route.destination == ANYWHERE]
    gateway = next((target for target in targets if target.startswith("igw-")), "")
    if not gateway or given not in (None, gateway):
        wanted = given or "an Internet gateway"
        now = f"it leads to {targets[0]}" if targets else "there is none"
        pulumi.log.warn(
            f"the default route of {table.id}, the public subnet's, must lead to {wanted}: {now}.", scope.parent
        )
    return {"id": table.id, "internet_gateway": given or gateway}
