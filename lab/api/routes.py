"""Route tables and Internet gateways: the targets that a route may have, and when a route is a blackhole."""

from ipaddress import IPv4Network
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.route_tables import Route, RouteTable

from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import dependency_violation, ec2_error
from lab.api.subnets import canonical


class LiveRoute(Route):
    """A route whose state depends on its target."""

    @property
    @corrects(
        "A route is a blackhole while its target is not available: the gateway is detached, the interface is deleted "
        "or not attached, its instance is stopped or terminated.",
        "AWSEC2/latest/APIReference/API_Route.html",
    )
    def state(self) -> str:
        return "active" if self._target_is_available() else "blackhole"

    @property
    @corrects(
        "A route to a network interface names the instance that the interface is attached to.",
        "AWSEC2/latest/APIReference/API_Route.html",
    )
    def instance_id(self) -> str | None:
        instance = self.interface.instance if self.interface else self.instance
        return instance.id if instance else None

    def _target_is_available(self) -> bool:
        if self.interface is not None:
            instance = self.interface.instance
            exists = self.interface.id in self.route_table.ec2_backend.enis
            return exists and instance is not None and instance.state not in {"stopped", "terminated"}
        if self.gateway is not None and self.gateway.id.startswith("igw-"):
            vpc: Any = self.gateway.vpc  # type: ignore[attr-defined]  # moto's type does not name InternetGateway
            exists = self.gateway.id in self.route_table.ec2_backend.internet_gateways
            return exists and vpc is not None and vpc.id == self.route_table.vpc_id
        return True


class RouteBackend(EC2Backend):
    """Routes with canonical destinations."""

    @corrects(
        "A route's destination is changed to its canonical form.",
        "AWSEC2/latest/APIReference/API_CreateRoute.html",
    )
    def create_route(
        self,
        route_table_id: str,
        destination_cidr_block: str | None,
        destination_ipv6_cidr_block: str | None = None,
        destination_prefix_list_id: str | None = None,
        local: bool = False,
        gateway_id: str | None = None,
        instance_id: str | None = None,
        nat_gateway_id: str | None = None,
        egress_only_igw_id: str | None = None,
        transit_gateway_id: str | None = None,
        interface_id: str | None = None,
        vpc_peering_connection_id: str | None = None,
        carrier_gateway_id: str | None = None,
        vpc_endpoint_id: str | None = None,
    ) -> Route:
        return super().create_route(
            route_table_id,
            canonical(destination_cidr_block) if destination_cidr_block else destination_cidr_block,
            destination_ipv6_cidr_block,
            destination_prefix_list_id,
            local,
            gateway_id,
            instance_id,
            nat_gateway_id,
            egress_only_igw_id,
            transit_gateway_id,
            interface_id,
            vpc_peering_connection_id,
            carrier_gateway_id,
            vpc_endpoint_id,
        )


@refuses(
    "CreateRoute",
    rule="A destination that the route table already has cannot be added again, not even with another target.",
    source="AWSEC2/latest/APIReference/API_CreateRoute.html",
)
def destination_is_new(call: Call) -> None:
    """RouteAlreadyExists, InvalidParameterValue."""
    destination = call.parameter("DestinationCidrBlock")
    if not destination:
        return
    try:
        network = IPv4Network(destination, strict=False)
    except ValueError:
        raise ec2_error(
            "InvalidParameterValue",
            f"Value ({destination}) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.",
        ) from None
    for route in call.backend.get_route_table(call.parameter("RouteTableId")).routes:
        if route.destination_cidr_block and IPv4Network(route.destination_cidr_block) == network:
            raise ec2_error("RouteAlreadyExists", f"The route identified by {network} already exists.")


@refuses(
    "CreateRoute",
    "ReplaceRoute",
    rule="The target of a route must be in the VPC of its route table.",
    source="AWSEC2/latest/APIReference/API_CreateRoute.html",
)
def target_is_in_the_vpc(call: Call) -> None:
    """InvalidParameterValue, MissingParameter."""
    table = call.backend.get_route_table(call.parameter("RouteTableId"))
    gateway_id, interface_id = call.parameter("GatewayId"), call.parameter("NetworkInterfaceId")
    others = ("InstanceId", "NatGatewayId", "EgressOnlyInternetGatewayId", "TransitGatewayId", "VpcPeeringConnectionId",
              "CarrierGatewayId", "VpcEndpointId", "LocalTarget")  # fmt: skip
    if gateway_id and gateway_id.startswith("igw-"):
        gateway = call.backend.get_internet_gateway(gateway_id)
        if gateway.vpc is None or gateway.vpc.id != table.vpc_id:
            raise ec2_error(
                "InvalidParameterValue",
                f"route table {table.id} and network gateway {gateway_id} belong to different networks",
            )
    elif interface_id:
        if call.backend.get_network_interface(interface_id).vpc_id != table.vpc_id:
            raise ec2_error(
                "InvalidParameterValue",
                f"route table {table.id} and interface {interface_id} belong to different networks",
            )
    elif not gateway_id and not any(call.parameter(name) for name in others):
        raise ec2_error("MissingParameter", "The request must contain exactly one of gatewayId, networkInterfaceId, …")


@refuses(
    "DeleteRoute",
    rule="The local route of a route table cannot be deleted.",
    source="vpc/latest/userguide/RouteTables.html",
)
def local_route_is_not_deleted(call: Call) -> None:
    """InvalidParameterValue."""
    destination = call.parameter("DestinationCidrBlock")
    table = call.backend.get_route_table(call.parameter("RouteTableId"))
    if any(route.local and route.destination_cidr_block == destination for route in table.routes):
        raise ec2_error("InvalidParameterValue", f"cannot remove local route {destination} in route table {table.id}")


@refuses(
    "DeleteRouteTable",
    rule="The main route table cannot be deleted, nor one that is associated with a subnet.",
    source="AWSEC2/latest/APIReference/API_DeleteRouteTable.html",
)
def route_table_in_use_is_not_deleted(call: Call) -> None:
    """DependencyViolation."""
    table: RouteTable = call.backend.get_route_table(call.parameter("RouteTableId"))
    if table.all_associations_ids:
        raise dependency_violation("routeTable", table.id)


@refuses(
    "AssociateRouteTable",
    rule="A subnet is associated with one route table of its VPC; to change it, replace the association.",
    source="AWSEC2/latest/APIReference/API_AssociateRouteTable.html",
)
def subnet_has_no_other_route_table(call: Call) -> None:
    """Resource.AlreadyAssociated, InvalidParameterValue."""
    table = call.backend.get_route_table(call.parameter("RouteTableId"))
    subnet_id = call.parameter("SubnetId")
    if not subnet_id:
        return
    subnet = call.backend.get_subnet(subnet_id)
    if subnet.vpc_id != table.vpc_id:
        raise ec2_error(
            "InvalidParameterValue",
            f"Route table {table.id} and subnet {subnet_id} belong to different networks",
        )
    for other in call.backend.route_tables.values():
        if other is not table and subnet_id in other._associations.values():
            raise ec2_error(
                "Resource.AlreadyAssociated",
                f"the specified association for route table {table.id} conflicts with an existing association",
            )


@refuses(
    "AttachInternetGateway",
    rule="A VPC has at most one Internet gateway, and a gateway is attached to at most one VPC.",
    source="AWSEC2/latest/APIReference/API_AttachInternetGateway.html",
)
def gateway_and_vpc_are_unattached(call: Call) -> None:
    """Resource.AlreadyAssociated, InvalidParameterValue."""
    gateway = call.backend.get_internet_gateway(call.parameter("InternetGatewayId"))
    vpc = call.backend.get_vpc(call.parameter("VpcId"))
    if gateway.vpc is not None:
        raise ec2_error(
            "Resource.AlreadyAssociated", f"resource {gateway.id} is already attached to network {gateway.vpc.id}"
        )
    if any(other.vpc is vpc for other in call.backend.internet_gateways.values()):
        raise ec2_error("InvalidParameterValue", f"Network {vpc.id} already has an internet gateway attached")


@refuses(
    "DetachInternetGateway",
    rule="An Internet gateway cannot be detached while its VPC has public addresses in use.",
    source="AWSEC2/latest/APIReference/API_DetachInternetGateway.html",
)
def gateway_in_use_is_not_detached(call: Call) -> None:
    """Gateway.NotAttached, DependencyViolation."""
    gateway = call.backend.get_internet_gateway(call.parameter("InternetGatewayId"))
    vpc_id = call.parameter("VpcId")
    if gateway.vpc is None or gateway.vpc.id != vpc_id:
        raise ec2_error("Gateway.NotAttached", f"resource {gateway.id} is not attached to network {vpc_id}")
    if any(interface.public_ip and interface.vpc_id == vpc_id for interface in call.backend.enis.values()):
        raise ec2_error(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). "
            "Please unmap those public address(es) before detaching the gateway.",
        )


@refuses(
    "DeleteInternetGateway",
    rule="An Internet gateway must be detached before it can be deleted.",
    source="AWSEC2/latest/APIReference/API_DeleteInternetGateway.html",
)
def attached_gateway_is_not_deleted(call: Call) -> None:
    """DependencyViolation."""
    gateway = call.backend.get_internet_gateway(call.parameter("InternetGatewayId"))
    if gateway.vpc is not None:
        raise dependency_violation("internetGateway", gateway.id)
