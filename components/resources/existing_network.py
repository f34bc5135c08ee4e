"""An existing network: looked up as soon as its ids are known, checked, and never changed except for its routes."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

import pulumi
from pulumi_aws import ec2

from ..decisions.addressing import check_host
from ..decisions.problems import Problem
from ..decisions.routing import (
    ANYWHERE,
    MOST_ROUTES,
    USUAL_ROUTES,
    TableRoute,
    address_problem,
    destinations,
    route_problems,
    routes_after,
    way_out_problem,
)
from ..inputs.problems import SettingsError
from ..inputs.reader import Reader
from ..inputs.settings import GatewaySettings
from ..inputs.site import ExistingNetwork
from .kept import keep
from .network import SiteNetwork
from .scope import Scope

_TARGETS = (
    "carrier_gateway_id",
    "core_network_arn",
    "egress_only_gateway_id",
    "gateway_id",
    "local_gateway_id",
    "nat_gateway_id",
    # Before the instance, because AWS names both for a route to an attached interface.
    "network_interface_id",
    "instance_id",
    "transit_gateway_id",
    "vpc_endpoint_id",
    "vpc_peering_connection_id",
)
_TABLES = "private_route_table_ids"


def use_network(scope: Scope, settings: GatewaySettings, existing: ExistingNetwork) -> SiteNetwork:
    """Return an existing network after checking that it is what the arguments say.

    All its ids are Outputs that wait for the check, so nothing is created in a refused network. `SettingsError` lists
    every problem, at preview if the ids are known by then.
    """
    # Later previews recognize the gateway's interfaces, and with them its routes, by this mark. A rename keeps it.
    mark = keep(scope, "mark", scope.mark("gateway"))
    lookups = _Lookups(scope, existing, str(settings.site.gateway_private_ip), mark)
    ids = lookups.all().apply(lambda answers: _checked(scope, settings, existing, answers))
    return SiteNetwork(
        vpc_id=ids["vpc"],
        public_subnet_id=ids["public_subnet"],
        private_subnet_ids=ids["private_subnets"],
        public_route_table_id=ids["public_table"],
        private_route_table_ids=ids["tables"],
        internet_gateway_id=ids["internet_gateway"],
        probe_host_subnet_id=ids["probe_host_subnet"],
        mark=mark,
        zones=ids["zones"],
    )


class _Lookups:
    """Looks the network up in AWS, with the side's provider."""

    def __init__(self, scope: Scope, existing: ExistingNetwork, address: str, mark: pulumi.Output[str]) -> None:
        self._scope = scope
        self._existing = existing
        self._address = address
        self._mark = mark
        self._options = pulumi.InvokeOutputOptions(parent=scope.parent)

    def all(self) -> pulumi.Output[dict[str, Any]]:
        """Look everything up. The result is unknown while one of the ids is."""
        vpc = ec2.get_vpc_output(id=self._known(self._existing.vpc_id), opts=self._options)
        subnet_id = self._known(self._existing.public_subnet_id)
        return pulumi.Output.all(
            vpc=vpc,
            subnets=self._subnets(),
            tables=self._tables(),
            public_table=self._public_table(vpc, subnet_id),
            internet_gateway=self._existing.internet_gateway_id,
            own=self._interfaces({"description": self._known_mark()}),
            gateways=self._interfaces({"description": self._scope.every_mark("gateway"), "vpc-id": vpc.id}),
            holders=self._interfaces({"addresses.private-ip-address": self._address, "subnet-id": subnet_id}),
        )

    def _known_mark(self) -> pulumi.Output[str]:
        """Return the mark without its resource: the SDK skips a look-up that depends on a resource to be created."""

        async def value() -> str:
            return str(await self._mark.future())

        return pulumi.Output.from_input(value())

    def _subnets(self) -> pulumi.Output[list[ec2.GetSubnetResult]]:
        """Look up the public subnet and, if there is a probe host, its subnet."""
        ids = [each for each in (self._existing.public_subnet_id, self._existing.private_subnet_id) if each is not None]
        return pulumi.Output.all(*(ec2.get_subnet_output(id=self._known(each), opts=self._options) for each in ids))

    def _tables(self) -> pulumi.Output[list[ec2.GetRouteTableResult]]:
        def look_up(ids: Any) -> pulumi.Output[list[ec2.GetRouteTableResult]]:
            _check_tables(self._scope, ids)
            return pulumi.Output.all(
                *(ec2.get_route_table_output(route_table_id=self._known(each), opts=self._options) for each in ids)
            )

        return pulumi.Output.from_input(self._existing.private_route_table_ids).apply(look_up)

    def _public_table(
        self, vpc: pulumi.Output[ec2.GetVpcResult], subnet_id: pulumi.Output[str]
    ) -> pulumi.Output[ec2.GetRouteTableResult]:
        """Look up the public subnet's own route table or, if it has none, the VPC's main one."""
        chosen = subnet_id.apply(
            lambda known: [ec2.GetRouteTablesFilterArgs(name="association.subnet-id", values=[known])]
        )
        explicit = ec2.get_route_tables_output(filters=chosen, opts=self._options)
        table_id = pulumi.Output.all(explicit.ids, vpc.main_route_table_id).apply(
            lambda answers: [*answers[0], answers[1]][0]
        )
        return ec2.get_route_table_output(route_table_id=table_id, opts=self._options)

    def _interfaces(self, wanted: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[Sequence[str]]:
        """Look up the network interfaces that match all filters."""
        filters = pulumi.Output.all(**wanted).apply(
            lambda values: [
                ec2.GetNetworkInterfacesFilterArgs(name=name, values=[value]) for name, value in values.items()
            ]
        )
        return ec2.get_network_interfaces_output(filters=filters, opts=self._options).ids

    def _known(self, resource_id: pulumi.Input[str]) -> pulumi.Output[str]:
        """Return the id once everything that the component depends on exists, without depending on the component."""

        async def registered() -> None:
            await self._scope.parent.urn.future()

        return pulumi.Output.all(resource_id, registered()).apply(lambda values: str(values[0]))


def _check_tables(scope: Scope, ids: Any) -> None:
    """Apply the rules for route tables in plain text to those of an Output. Raises `SettingsError`."""
    problems: list[Problem] = []
    Reader("existing_network", {_TABLES: ids}, frozenset({_TABLES}), problems).identifiers(_TABLES, "rtb")
    if problems:
        raise SettingsError(f"VpnGateway {scope.resource_name!r}", problems)


def _checked(
    scope: Scope, settings: GatewaySettings, existing: ExistingNetwork, answers: dict[str, Any]
) -> dict[str, Any]:
    """Return the network's ids. Raises `SettingsError` with everything in which it differs from the arguments."""
    vpc, subnets, tables, public_table = answers["vpc"], answers["subnets"], answers["tables"], answers["public_table"]
    problems = _vpc_problems(settings, vpc)
    site = settings.site
    hosts = (
        ("public_subnet_id", "gateway_private_ip", site.gateway_private_ip),
        ("private_subnet_id", "probe_host_private_ip", site.probe_host_private_ip),
    )
    for (setting, host, address), subnet in zip(hosts, subnets, strict=False):  # one subnet if there is no probe host
        problems += _foreign(f"existing_network.{setting}", subnet.id, subnet.vpc_id, vpc.id)
        problems += check_host(host, address, [IPv4Network(subnet.cidr_block)]) if address else []
    for holder in (each for each in answers["holders"] if each not in answers["own"]):
        problems.append(address_problem(str(site.gateway_private_ip), holder, answers["gateways"]))
    no_way_out = way_out_problem(
        "existing_network.public_subnet_id",
        subnets[0].id,
        public_table.id,
        _routes(public_table),
        answers["internet_gateway"],
    )
    if no_way_out is not None and (existing.is_text or not pulumi.runtime.is_dry_run()):
        problems.append(no_way_out)
    elif no_way_out is not None:
        pulumi.log.warn(f"{no_way_out}. Without it `up` is refused.", scope.parent)
    for number in range(len(tables)):
        problems += _table_problems(scope, settings, existing, number, answers)
    if problems:
        raise SettingsError(f"VpnGateway {scope.resource_name!r}", problems)
    default_targets = [route.target for route in _routes(public_table) if route.destination == ANYWHERE]
    return {
        "vpc": vpc.id,
        "public_subnet": subnets[0].id,
        "probe_host_subnet": subnets[-1].id,
        "tables": [table.id for table in tables],
        "private_subnets": _associated(tables),
        "public_table": public_table.id,
        "internet_gateway": answers["internet_gateway"] or next(iter(default_targets), ""),
        "zones": [subnet.availability_zone for subnet in subnets],
    }


def _table_problems(
    scope: Scope, settings: GatewaySettings, existing: ExistingNetwork, number: int, answers: Mapping[str, Any]
) -> list[Problem]:
    setting, table = f"existing_network.private_route_table_ids[{number}]", answers["tables"][number]
    problems = _foreign(setting, table.id, table.vpc_id, answers["vpc"].id)
    if table.id == answers["public_table"].id:
        # Its routes are not checked: the gateway's own default route is one of them.
        rule = "is the public subnet's route table, and a route in it would lead the gateway's packets to itself"
        remedy = "name the private subnets' route table; give them one if they have none"
        return [*problems, Problem(setting=setting, value=table.id, rule=rule, remedy=remedy)]
    routes = _routes(table)
    wanted = destinations(settings.peer_ranges, take_default_route=existing.take_default_route)
    count = routes_after(routes, wanted)
    if USUAL_ROUTES < count <= MOST_ROUTES:
        pulumi.log.warn(
            f"{table.id} would have {count} routes: more than {USUAL_ROUTES} need a raised quota.", scope.parent
        )
    return problems + route_problems(
        setting,
        table.id,
        routes,
        peer_ranges=settings.peer_ranges,
        take_default_route=existing.take_default_route,
        own=answers["own"],
        gateways=answers["gateways"],
    )


def _vpc_problems(settings: GatewaySettings, vpc: ec2.GetVpcResult) -> list[Problem]:
    blocks = [each.cidr_block for each in vpc.cidr_block_associations] or [vpc.cidr_block]
    if str(settings.site.cidr_block) in blocks:
        return []
    rule = f"is no CIDR block of {vpc.id}, which has {', '.join(blocks)}"
    return [Problem(setting="cidr_block", value=str(settings.site.cidr_block), rule=rule, remedy=f"use {blocks[0]}")]


def _foreign(setting: str, resource_id: str, home: str, vpc_id: str) -> list[Problem]:
    if home == vpc_id:
        return []
    rule, remedy = f"is in {home}, not in {vpc_id}", f"use one of {vpc_id}"
    return [Problem(setting=setting, value=resource_id, rule=rule, remedy=remedy)]


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
