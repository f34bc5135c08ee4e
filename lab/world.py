"""The resources of the AWS API in the form that the data plane needs: frozen records without SDK types.

`lab.observe` reads a `World` with describe calls; `lab.network` and `lab.machines` make this machine match it.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

InstanceState = Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One active entry of a route table, other than `local`."""

    destination: IPv4Network
    target_kind: Literal["internet-gateway", "network-interface"]
    target_id: str


@dataclass(frozen=True, kw_only=True)
class RouteTable:
    """A route table; routes to the VPC's own CIDR blocks are implied."""

    id: str
    routes: tuple[Route, ...]


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet with its effective route table: its own, or the VPC's main table."""

    id: str
    cidr_block: IPv4Network
    availability_zone: str
    route_table_id: str


@dataclass(frozen=True, kw_only=True)
class SecurityGroupRule:
    """A rule that allows traffic. `protocol` is an IP protocol number, ports are ICMP's type and code; -1 means all."""

    is_egress: bool
    protocol: int
    from_port: int
    to_port: int
    cidr_block: IPv4Network | None
    referenced_group_id: str | None


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """A security group. Traffic that no rule allows is dropped, except replies."""

    id: str
    rules: tuple[SecurityGroupRule, ...]


@dataclass(frozen=True, kw_only=True)
class NetworkInterface:
    """An ENI, which has the addresses, the groups and the source/destination check."""

    id: str
    mac_address: str
    subnet_id: str
    private_ip: IPv4Address
    public_ip: IPv4Address | None
    source_dest_check: bool
    security_group_ids: tuple[str, ...]
    instance_id: str | None


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """A VPC with everything in it."""

    id: str
    region: str
    cidr_blocks: tuple[IPv4Network, ...]
    internet_gateway_id: str | None
    subnets: tuple[Subnet, ...]
    route_tables: tuple[RouteTable, ...]
    security_groups: tuple[SecurityGroup, ...]
    network_interfaces: tuple[NetworkInterface, ...]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An instance, with everything that its machine needs to boot."""

    id: str
    name: str
    """The `Name` tag, or the id."""
    region: str
    vpc_id: str
    state: InstanceState
    reboots: int
    """The number of RebootInstances calls for it."""
    image_id: str
    image_name: str
    """The AMI's name, e.g. `debian-13-amd64-20260901-1234`, which determines the guest image."""
    instance_type: str
    root_gib: int
    """The size of its root volume."""
    network_interface_id: str
    """The primary ENI."""
    user_data: bytes
    """Decoded from base64; empty without user data."""
    ssh_public_key: str | None
    instance_profile_arn: str | None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class World:
    """The resources of all regions at one moment."""

    vpcs: tuple[Vpc, ...]
    instances: tuple[Instance, ...]
