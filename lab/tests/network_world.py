"""The article's two VPCs as a `World`, for the tests of the lab's network."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from lab.world import (
    Instance,
    NetworkInterface,
    Route,
    RouteTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
    World,
)

ANYWHERE = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One VPC: a public subnet with a gateway, a private subnet with a host."""

    name: str
    region: str
    cidr_block: str
    public_subnet: str
    private_subnet: str
    gateway: str
    host: str
    elastic_ip: str

    @property
    def vpc_id(self) -> str:
        """Return the VPC's id."""
        return f"vpc-{self._hex('vpc')}"

    def _hex(self, role: str) -> str:
        return hashlib.sha256(f"{self.name} {role}".encode()).hexdigest()[:17]

    def instance_id(self, role: str) -> str:
        """Return the id of the `gateway` or the `host`."""
        return f"i-{self._hex(role)}"

    def eni_id(self, role: str) -> str:
        """Return the id of an instance's ENI."""
        return f"eni-{self._hex(role)}"


UK = Side(
    name="uk",
    region="eu-west-2",
    cidr_block="10.1.0.0/16",
    public_subnet="10.1.1.0/24",
    private_subnet="10.1.10.0/24",
    gateway="10.1.1.254",
    host="10.1.10.41",
    elastic_ip="203.0.113.10",
)
AU = Side(
    name="au",
    region="ap-southeast-2",
    cidr_block="172.31.0.0/16",
    public_subnet="172.31.12.0/24",
    private_subnet="172.31.200.0/24",
    gateway="172.31.12.198",
    host="172.31.200.200",
    elastic_ip="198.51.100.20",
)


def rule(
    *, egress: bool = False, protocol: int = -1, ports: tuple[int, int] = (-1, -1), peer: str = "0.0.0.0/0"
) -> SecurityGroupRule:
    """Return a rule; `peer` is a range or a group's id."""
    is_group = peer.startswith("sg-")
    return SecurityGroupRule(
        is_egress=egress,
        protocol=protocol,
        from_port=ports[0],
        to_port=ports[1],
        cidr_block=None if is_group else IPv4Network(peer),
        referenced_group_id=peer if is_group else None,
    )


def vpc(side: Side) -> Vpc:
    """Return a side's VPC: everything allowed, source/destination check off on the gateway only."""

    def interface(role: str, address: str, subnet: str, *, check: bool, public: str | None) -> NetworkInterface:
        return NetworkInterface(
            id=side.eni_id(role),
            mac_address=f"02:00:00:{len(role):02x}:{ord(side.name[0]):02x}:01",
            subnet_id=subnet,
            private_ip=IPv4Address(address),
            public_ip=IPv4Address(public) if public else None,
            source_dest_check=check,
            security_group_ids=(f"sg-{role}-{side.name}",),
            instance_id=side.instance_id(role),
        )

    return Vpc(
        id=side.vpc_id,
        region=side.region,
        cidr_blocks=(IPv4Network(side.cidr_block),),
        internet_gateway_id=f"igw-{side.name}",
        subnets=(
            Subnet(
                id=f"subnet-public-{side.name}",
                cidr_block=IPv4Network(side.public_subnet),
                availability_zone=f"{side.region}a",
                route_table_id=f"rtb-public-{side.name}",
            ),
            Subnet(
                id=f"subnet-private-{side.name}",
                cidr_block=IPv4Network(side.private_subnet),
                availability_zone=f"{side.region}a",
                route_table_id=f"rtb-private-{side.name}",
            ),
        ),
        route_tables=(
            RouteTable(
                id=f"rtb-public-{side.name}",
                routes=(Route(destination=ANYWHERE, target_kind="internet-gateway", target_id=f"igw-{side.name}"),),
            ),
            RouteTable(
                id=f"rtb-private-{side.name}",
                routes=(
                    Route(destination=ANYWHERE, target_kind="network-interface", target_id=side.eni_id("gateway")),
                ),
            ),
        ),
        security_groups=tuple(
            SecurityGroup(id=f"sg-{role}-{side.name}", rules=(rule(), rule(egress=True)))
            for role in ("gateway", "host")
        ),
        network_interfaces=(
            interface(
                "gateway",
                side.gateway,
                f"subnet-public-{side.name}",
                check=False,
                public=side.elastic_ip,
            ),
            interface("host", side.host, f"subnet-private-{side.name}", check=True, public=None),
        ),
    )


def instances(side: Side, *, user_data: bytes = b"") -> tuple[Instance, ...]:
    """Return a side's gateway (with the user data) and private host (without)."""
    return tuple(
        Instance(
            id=side.instance_id(role),
            name=f"{side.name}-{role}",
            region=side.region,
            vpc_id=side.vpc_id,
            state="running",
            reboots=0,
            image_id="ami-0",
            image_name="debian-13-amd64-20260901-1234",
            instance_type="t3.micro",
            root_gib=8,
            network_interface_id=side.eni_id(role),
            user_data=user_data if role == "gateway" else b"",
            ssh_public_key=None,
            instance_profile_arn=None,
        )
        for role in ("gateway", "host")
    )


def article(*, user_data: bytes = b"", uk: Side = UK, au: Side = AU) -> World:
    """Return both sides with all four machines running; the gateways have the user data."""
    return World(
        vpcs=(vpc(uk), vpc(au)), instances=(*instances(uk, user_data=user_data), *instances(au, user_data=user_data))
    )


def with_vpc(world: World, changed: Vpc) -> World:
    """Return the world with one VPC replaced."""
    return replace(world, vpcs=tuple(changed if each.id == changed.id else each for each in world.vpcs))


def with_interface(world: World, eni_id: str, **changes: object) -> World:
    """Return the world with fields of one ENI replaced."""
    for each in world.vpcs:
        if any(eni.id == eni_id for eni in each.network_interfaces):
            interfaces = tuple(
                # mypy cannot check the names in a mapping.
                replace(eni, **changes) if eni.id == eni_id else eni  # type: ignore[arg-type]
                for eni in each.network_interfaces
            )
            return with_vpc(world, replace(each, network_interfaces=interfaces))
    raise KeyError(eni_id)


def with_rules(world: World, group_id: str, rules: Iterable[SecurityGroupRule]) -> World:
    """Return the world with one security group's rules replaced."""
    for each in world.vpcs:
        if any(group.id == group_id for group in each.security_groups):
            groups = tuple(
                replace(group, rules=tuple(rules)) if group.id == group_id else group for group in each.security_groups
            )
            return with_vpc(world, replace(each, security_groups=groups))
    raise KeyError(group_id)
