"""VPCs and subnets: their ranges, and the usable and used addresses of subnets."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPC

from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import ec2_error


def used_addresses(backend: EC2Backend, subnet: Subnet) -> frozenset[str]:
    """Return the private addresses, primary and secondary, of all network interfaces in `subnet`."""
    return frozenset(
        address["PrivateIpAddress"]
        for interface in backend.enis.values()
        if interface.subnet.id == subnet.id
        for address in interface.private_ip_addresses
    )


def usable_addresses(subnet: Subnet) -> Iterator[IPv4Address]:
    """Yield the addresses that AWS leaves to users: all but the first four and the last.

    Source: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
    """
    network = IPv4Network(subnet.cidr_block)
    for number in range(4, network.num_addresses - 1):
        yield network[number]


def free_address(backend: EC2Backend, subnet: Subnet) -> str:
    """Return the lowest usable address that no network interface has, or raise InsufficientFreeAddressesInSubnet."""
    used = used_addresses(backend, subnet)
    for address in usable_addresses(subnet):
        if str(address) not in used:
            return str(address)
    raise ec2_error(
        "InsufficientFreeAddressesInSubnet", f"There are not enough free addresses in subnet '{subnet.id}'."
    )


def require_free_address(backend: EC2Backend, subnet: Subnet, address: str) -> None:
    """Raise AWS's error unless `address` is a usable and unused address of `subnet`."""
    network = IPv4Network(subnet.cidr_block)
    try:
        parsed = IPv4Address(address)
    except ValueError as error:
        raise ec2_error("InvalidParameterValue", f"invalid value for parameter address: {address}") from error
    if parsed not in network:
        raise ec2_error("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
    if int(parsed) - int(network.network_address) < 4 or parsed == network.broadcast_address:
        raise ec2_error("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
    if address in used_addresses(backend, subnet):
        raise ec2_error("InvalidIPAddress.InUse", f"Address {address} is in use.")


class AccountedSubnet(Subnet):
    """A subnet whose used addresses are those of its network interfaces."""

    @corrects(
        "An instance launched without an address gets a free address of its subnet.",
        "AWSEC2/latest/APIReference/API_RunInstances.html",
    )
    def get_available_subnet_ip(self, instance: Instance) -> str:  # noqa: ARG002 - moto's signature
        return free_address(self.ec2_backend, self)

    @corrects(
        "The address requested at launch must be free and not reserved by AWS.",
        "vpc/latest/userguide/subnet-sizing.html",
    )
    def request_ip(self, ip: str, instance: Instance) -> None:  # noqa: ARG002 - moto's signature
        require_free_address(self.ec2_backend, self, ip)


class SubnetBackend(EC2Backend):
    """Creation and deletion of VPCs and subnets."""

    @corrects(
        "A CIDR block is changed to its canonical form: 100.68.0.18/18 becomes 100.68.0.0/18.",
        "AWSEC2/latest/APIReference/API_CreateVpc.html",
    )
    def create_vpc(
        self,
        cidr_block: str,
        instance_tenancy: str = "default",
        amazon_provided_ipv6_cidr_block: bool = False,
        ipv6_cidr_block_network_border_group: str | None = None,
        tags: list[dict[str, str]] | None = None,
        is_default: bool = False,
    ) -> VPC:
        return super().create_vpc(
            canonical(cidr_block),
            instance_tenancy,
            amazon_provided_ipv6_cidr_block,
            ipv6_cidr_block_network_border_group,
            tags,
            is_default,
        )

    @corrects(
        "Only a subnet of the default VPC is a default subnet, with public addresses by default.",
        "vpc/latest/userguide/default-subnet.html",
    )
    def create_subnet(
        self,
        vpc_id: str,
        cidr_block: str,
        ipv6_cidr_block: str | None = None,
        availability_zone: str | None = None,
        availability_zone_id: str | None = None,
        ipv6_native: bool = False,
        tags: dict[str, dict[str, str]] | None = None,
    ) -> Subnet:
        subnet = super().create_subnet(
            vpc_id,
            canonical(cidr_block) if cidr_block else cidr_block,
            ipv6_cidr_block,
            availability_zone,
            availability_zone_id,
            ipv6_native,
            tags,
        )
        in_default_vpc = bool(self.get_vpc(vpc_id).is_default)
        subnet.default_for_az = subnet.map_public_ip_on_launch = in_default_vpc
        return subnet

    @corrects(
        "A deleted subnet is no longer associated with a route table or a network ACL.",
        "vpc/latest/userguide/subnet-deleting.html",
    )
    def delete_subnet(self, subnet_id: str) -> Subnet:
        subnet = super().delete_subnet(subnet_id)
        for table in self.route_tables.values():
            _delete_where(table._associations, lambda associated_id: associated_id == subnet_id)
        for acl in self.network_acls.values():
            _delete_where(acl._associations, lambda association: association.subnet_id == subnet_id)
        return subnet

    @corrects(
        "Deleting a VPC deletes its default network ACL, its main route table and its default security group.",
        "vpc/latest/userguide/delete-vpc.html",
    )
    def delete_vpc(self, vpc_id: str) -> VPC:
        vpc = super().delete_vpc(vpc_id)
        _delete_where(self.network_acls, lambda acl: acl.vpc_id == vpc_id)
        return vpc

    @corrects(
        "A CIDR block that was taken from a VPC accepts no subnets.",
        "vpc/latest/userguide/add-ipv4-cidr.html",
    )
    def disassociate_vpc_cidr_block(self, association_id: str) -> dict[str, Any]:
        answer = super().disassociate_vpc_cidr_block(association_id)
        del self.get_vpc(answer["vpc_id"])._cidr_block_association_set[association_id]
        return answer


def canonical(cidr_block: str) -> str:
    """Return an IPv4 CIDR block with its host bits cleared; any other text unchanged, for moto to refuse."""
    try:
        return str(IPv4Network(cidr_block, strict=False))
    except ValueError:
        return cidr_block


def _delete_where(items: dict[str, Any], condition: Any) -> None:
    for key in [key for key, value in items.items() if condition(value)]:
        del items[key]


@refuses(
    "CreateSubnet",
    rule="A subnet's CIDR block is between a /28 netmask and a /16 netmask.",
    source="vpc/latest/userguide/subnet-sizing.html",
)
def subnet_size_is_allowed(call: Call) -> None:
    """InvalidSubnet.Range."""
    cidr_block = call.parameter("CidrBlock")
    try:
        prefix_length = IPv4Network(cidr_block, strict=False).prefixlen
    except ValueError:
        return  # moto refuses a malformed block as AWS does
    if cidr_block and not 16 <= prefix_length <= 28:
        raise ec2_error("InvalidSubnet.Range", f"The CIDR '{cidr_block}' is invalid.")


@refuses(
    "CreateSubnet",
    rule="The Availability Zone must be in the region.",
    source="AWSEC2/latest/APIReference/API_CreateSubnet.html",
)
def zone_is_of_the_region(call: Call) -> None:
    """InvalidParameterValue."""
    zone = call.parameter("AvailabilityZone")
    names = [each.name for each in call.backend.describe_availability_zones()]
    if zone and zone not in names:
        raise ec2_error(
            "InvalidParameterValue",
            f"Value ({zone}) for parameter availabilityZone is invalid. "
            f"Subnets can currently only be created in the following availability zones: {', '.join(names)}.",
        )
