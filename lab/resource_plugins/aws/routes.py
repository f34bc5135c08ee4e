"""Route tables, routes, and associations of route tables with subnets and gateways."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from zlib import crc32

from lab.resource_plugins.aws.common import (
    FIXED,
    NEEDED,
    ec2,
    ec2_resource,
    filters,
    first,
    ignoring_errors,
    region_of,
    regional,
    retry,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_TABLE_GONE = ("InvalidRouteTableID.NotFound",)
_ROUTE_GONE = ("InvalidRoute.NotFound", *_TABLE_GONE)
_ASSOCIATION_GONE = ("InvalidAssociationID.NotFound",)

_DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_INLINE_DESTINATIONS = {
    "cidrBlock": "DestinationCidrBlock",
    "ipv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_TARGETS = {
    "carrierGatewayId": "CarrierGatewayId",
    "coreNetworkArn": "CoreNetworkArn",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "localGatewayId": "LocalGatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}


def _table(api: Any, table_id: str) -> Properties | None:
    return first(api.describe_route_tables, "RouteTables", _TABLE_GONE, RouteTableIds=[table_id])


def _named(properties: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: properties[key] for key, name in names.items() if properties.get(key)}


def _read_keys(description: Mapping[str, Any], names: Mapping[str, str]) -> Properties:
    return {key: description.get(name) for key, name in names.items()}


def _create_table(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    response = api.create_route_table(VpcId=inputs["vpcId"], **tag_specifications("route-table", inputs.get("tags")))
    table_id = call.created(response["RouteTable"]["RouteTableId"])
    _change_inline_routes(api, table_id, [], inputs.get("routes") or [])
    return table_id


def _change_inline_routes(api: Any, table_id: str, old: Iterable[Properties], new: Iterable[Properties]) -> None:
    before = {_destination(route): route for route in old}
    after = {_destination(route): route for route in new}
    for destination in before.keys() - after.keys():
        with ignoring_errors(*_ROUTE_GONE):
            api.delete_route(RouteTableId=table_id, **_named(before[destination], _INLINE_DESTINATIONS))
    for destination, route in after.items():
        arguments = {**_named(route, _INLINE_DESTINATIONS), **_named(route, _TARGETS)}
        if destination not in before:
            api.create_route(RouteTableId=table_id, **arguments)
        elif _named(before[destination], _TARGETS) != _named(route, _TARGETS):
            api.replace_route(RouteTableId=table_id, **arguments)


def _destination(route: Properties) -> tuple[Any, ...]:
    return tuple(_named(route, _INLINE_DESTINATIONS).items())


def describe_routes(table: Properties, more: Mapping[str, str] = MappingProxyType({})) -> list[Properties]:
    """Return a table's routes in a program's form, without the local and the propagated ones.

    `more` adds keys: the look-up also returns the instance of an interface (terraform-provider-aws,
    vpc_route_table_data_source.go).
    """
    return [
        _read_keys(route, {**_INLINE_DESTINATIONS, **_TARGETS, **more})
        for route in table["Routes"]
        if route.get("GatewayId") != "local" and route.get("Origin") != "EnableVgwRoutePropagation"
    ]


def _read_table(call: Call, table_id: str, state: Properties) -> Properties | None:
    table = _table(ec2(call, state), table_id)
    if table is None:
        return None
    owner = table["OwnerId"]
    return {
        "arn": session_of(call).arn("ec2", f"route-table/{table_id}", region=region_of(call, state), account=owner),
        "ownerId": owner,
        "vpcId": table["VpcId"],
        "propagatingVgws": [each["GatewayId"] for each in table.get("PropagatingVgws", [])],
        "routes": describe_routes(table),
        **tags_read(call, table.get("Tags")),
    }


def _update_table(call: Call, table_id: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
    if "routes" in changed:
        _change_inline_routes(ec2(call, state), table_id, state.get("routes") or [], inputs.get("routes") or [])


def _delete_table(call: Call, table_id: str, state: Properties) -> None:
    api = ec2(call, state)
    for association in (_table(api, table_id) or {}).get("Associations", []):
        if not association.get("Main"):
            with ignoring_errors(*_ASSOCIATION_GONE):
                api.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    with ignoring_errors(*_TABLE_GONE):
        api.delete_route_table(RouteTableId=table_id)


ROUTE_TABLE = ec2_resource(
    Resource(
        "aws:ec2/routeTable:RouteTable",
        {
            "vpcId": NEEDED,
            "routes": Input(computed=True, unordered=True),
        },
        _create_table,
        _read_table,
        _update_table,
        _delete_table,
        outputs=("arn", "ownerId", "propagatingVgws"),
        timeout=300,
    )
)


def _check_route(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    failures = []
    for kind, names in (("destination", _DESTINATIONS), ("target", _TARGETS)):
        set_keys = [key for key in names if inputs.get(key)]
        if len(set_keys) != 1:
            place = set_keys[0] if set_keys else next(iter(names))
            failures.append((place, f"a route needs one {kind}: set exactly one of {list(names)}, not {set_keys}"))
    return failures or inputs


def _create_route(call: Call, inputs: Properties) -> str:
    api, table_id = ec2(call, inputs), inputs["routeTableId"]
    arguments = {**_named(inputs, _DESTINATIONS), **_named(inputs, _TARGETS)}
    retry(
        call,
        f"route in {table_id}",
        lambda: api.create_route(RouteTableId=table_id, **arguments),
        {"InvalidParameterException", "InvalidTransitGatewayID.NotFound"},
    )
    route_id = call.created(_route_id(inputs))
    call.wait_until(f"route {route_id}", lambda: _route(api, inputs))
    return route_id


def _route_id(state: Properties) -> str:
    destination = next(iter(_named(state, _DESTINATIONS).values()))
    return f"r-{state['routeTableId']}{crc32(destination.encode())}"


def _route(api: Any, state: Properties) -> Properties | None:
    table = _table(api, state["routeTableId"])
    destination = _named(state, _DESTINATIONS).items()
    routes = table["Routes"] if table else []
    return next((dict(route) for route in routes if destination <= route.items()), None)


def _read_route(call: Call, route_id: str, state: Properties) -> Properties | None:
    if "_" in route_id:  # an id for import: rtb-1234_10.0.0.0/8
        table_id, destination = route_id.split("_", 1)
        key = "destinationPrefixListId" if destination.startswith("pl-") else "destinationCidrBlock"
        key = "destinationIpv6CidrBlock" if ":" in destination else key
        state = {"routeTableId": table_id, key: destination, **state}
    route = _route(ec2(call, state), state)
    if route is None:
        return None
    return {
        "id": _route_id(state),
        "routeTableId": state["routeTableId"],
        **_read_keys(route, _DESTINATIONS),
        **_read_keys(route, _TARGETS),
        "instanceId": route.get("InstanceId", ""),
        "instanceOwnerId": route.get("InstanceOwnerId", ""),
        "origin": route.get("Origin"),
        "state": route.get("State"),
    }


def _update_route(call: Call, _id: str, state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    arguments = {**_named(inputs, _DESTINATIONS), **_named(inputs, _TARGETS)}
    ec2(call, state).replace_route(RouteTableId=inputs["routeTableId"], **arguments)


def _delete_route(call: Call, _id: str, state: Properties) -> None:
    with ignoring_errors(*_ROUTE_GONE):
        ec2(call, state).delete_route(RouteTableId=state["routeTableId"], **_named(state, _DESTINATIONS))


ROUTE = regional(
    Resource(
        "aws:ec2/route:Route",
        {"routeTableId": NEEDED, **dict.fromkeys(_DESTINATIONS, FIXED), **dict.fromkeys(_TARGETS, Input())},
        _create_route,
        _read_route,
        _update_route,
        _delete_route,
        outputs=("instanceId", "instanceOwnerId", "origin", "state"),
        moved_by=dict.fromkeys(("instanceId", "instanceOwnerId", "state"), ("*",)),
        check=_check_route,
        timeout=300,
    )
)


def _create_association(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    user = _named(inputs, {"subnetId": "SubnetId", "gatewayId": "GatewayId"})
    association = api.associate_route_table(RouteTableId=inputs["routeTableId"], **user)
    return call.created(association["AssociationId"])


def _association(api: Any, association_id: str, state: Properties) -> Properties | None:
    """Return an association by its id, or by its subnet, because replacing the table gives it a new id."""
    if "/" in association_id:  # an id for import: subnet-1234/rtb-1234
        user, table_id = association_id.split("/")
        matches = _associations(api, route_table_id=table_id)
        return next((each for each in matches if user in {each.get("SubnetId"), each.get("GatewayId")}), None)
    matches = _associations(api, association__route_table_association_id=association_id)
    if not any(each["RouteTableAssociationId"] == association_id for each in matches) and state.get("subnetId"):
        matches = _associations(api, association__subnet_id=state["subnetId"])
        return next((each for each in matches if each.get("SubnetId") == state["subnetId"]), None)
    return next((each for each in matches if each["RouteTableAssociationId"] == association_id), None)


def _associations(api: Any, **criteria: str) -> list[Properties]:
    tables = api.describe_route_tables(Filters=filters(**criteria))["RouteTables"]
    return [dict(each) for table in tables for each in table.get("Associations", [])]


def _read_association(call: Call, association_id: str, state: Properties) -> Properties | None:
    association = _association(ec2(call, state), association_id, state)
    if association is None:
        return None
    return {
        # Replacing the table changes the association's id; the resource keeps its old id.
        "id": association["RouteTableAssociationId"] if "/" in association_id else association_id,
        "routeTableId": association["RouteTableId"],
        "subnetId": association.get("SubnetId"),
        "gatewayId": association.get("GatewayId"),
    }


def _update_association(call: Call, resource_id: str, state: Properties, inputs: Properties, _: frozenset[str]) -> None:
    api = ec2(call, state)
    association = _association(api, resource_id, state)
    current = association["RouteTableAssociationId"] if association else resource_id
    api.replace_route_table_association(AssociationId=current, RouteTableId=inputs["routeTableId"])


def _delete_association(call: Call, resource_id: str, state: Properties) -> None:
    api = ec2(call, state)
    association = _association(api, resource_id, state)
    if association is not None:
        with ignoring_errors(*_ASSOCIATION_GONE):
            api.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])


ROUTE_TABLE_ASSOCIATION = regional(
    Resource(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"routeTableId": Input(required=True), "subnetId": FIXED, "gatewayId": FIXED},
        _create_association,
        _read_association,
        _update_association,
        _delete_association,
        timeout=300,
    )
)

RESOURCES = (ROUTE_TABLE, ROUTE, ROUTE_TABLE_ASSOCIATION)
