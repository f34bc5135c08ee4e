"""Reads a `World` from the AWS API with describe calls that any client could make."""

import base64
import json
import urllib.request
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from lab import settings
from lab.api.client import client
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

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import (
        InstanceTypeDef,
        NetworkInterfaceTypeDef,
        RouteTableTypeDef,
        SecurityGroupRuleTypeDef,
        SubnetTypeDef,
    )

_GLOBAL = "global"
"""The API's pseudo region for changes of IAM, which are not part of a world."""

# IANA protocol numbers for the names that the EC2 API uses.
_PROTOCOLS = {"-1": -1, "icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}


def observe(regions: Iterable[str], reboots: dict[str, int]) -> World:
    """Return everything in the non-default VPCs of `regions`; `reboots` counts RebootInstances calls by instance id."""
    names = sorted(set(regions) - {_GLOBAL})
    if not names:
        return World(vpcs=(), instances=())
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        parts = list(pool.map(lambda region: _observe_region(region, reboots), names))
    return World(
        vpcs=tuple(vpc for part in parts for vpc in part.vpcs),
        instances=tuple(instance for part in parts for instance in part.instances),
    )


def observe_now() -> World:
    """Return the current world of every region in which anything was ever created."""
    document = _generation()
    return observe(document["regions"], document["reboots"])


def regions() -> set[str]:
    """Return the regions in which anything was ever created."""
    return set(_generation()["regions"]) - {_GLOBAL}


def _generation() -> dict[str, Any]:
    # The lab's own URL.
    with urllib.request.urlopen(f"{settings.API_URL}/_lab/generation?after=-1&timeout=0", timeout=10) as response:  # noqa: S310
        document: dict[str, Any] = json.load(response)
    return document


def _observe_region(region: str, reboots: dict[str, int]) -> World:
    ec2: EC2Client = client("ec2", region)
    descriptions = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]
    if not descriptions:
        return World(vpcs=(), instances=())
    subnets = ec2.describe_subnets()["Subnets"]
    tables = ec2.describe_route_tables()["RouteTables"]
    groups = ec2.describe_security_groups()["SecurityGroups"]
    rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    gateways = {
        attachment.get("VpcId"): gateway["InternetGatewayId"]
        for gateway in ec2.describe_internet_gateways()["InternetGateways"]
        for attachment in gateway["Attachments"]
    }
    vpcs = tuple(
        Vpc(
            id=vpc["VpcId"],
            region=region,
            cidr_blocks=tuple(
                IPv4Network(association["CidrBlock"])
                for association in vpc["CidrBlockAssociationSet"]
                if association["CidrBlockState"]["State"] == "associated"
            ),
            internet_gateway_id=gateways.get(vpc["VpcId"]),
            subnets=tuple(_subnet(subnet, tables) for subnet in subnets if subnet["VpcId"] == vpc["VpcId"]),
            route_tables=tuple(_route_table(table) for table in tables if table["VpcId"] == vpc["VpcId"]),
            security_groups=tuple(
                SecurityGroup(
                    id=group["GroupId"],
                    rules=tuple(_rule(rule) for rule in rules if rule["GroupId"] == group["GroupId"]),
                )
                for group in groups
                if group.get("VpcId") == vpc["VpcId"]
            ),
            network_interfaces=tuple(
                _network_interface(interface) for interface in interfaces if interface["VpcId"] == vpc["VpcId"]
            ),
        )
        for vpc in descriptions
    )
    known = {vpc.id for vpc in vpcs}
    described = [
        instance for reservation in ec2.describe_instances()["Reservations"] for instance in reservation["Instances"]
    ]
    # After the instances, so that none lacks its volume.
    sizes = {volume["VolumeId"]: volume["Size"] for volume in ec2.describe_volumes()["Volumes"]}
    instances = tuple(
        _instance(ec2, region, instance, reboots.get(instance["InstanceId"], 0), sizes)
        for instance in described
        if instance["State"]["Name"] != "terminated" and instance.get("VpcId") in known
    )
    return World(vpcs=vpcs, instances=instances)


def _subnet(subnet: "SubnetTypeDef", tables: "list[RouteTableTypeDef]") -> Subnet:
    own = [t for t in tables if any(a.get("SubnetId") == subnet["SubnetId"] for a in t["Associations"])]
    main = [
        t
        for t in tables
        if t["VpcId"] == subnet["VpcId"] and any(association["Main"] for association in t["Associations"])
    ]
    return Subnet(
        id=subnet["SubnetId"],
        cidr_block=IPv4Network(subnet["CidrBlock"]),
        availability_zone=subnet["AvailabilityZone"],
        route_table_id=(own or main)[0]["RouteTableId"],
    )


def _route_table(table: "RouteTableTypeDef") -> RouteTable:
    routes = []
    for route in table["Routes"]:
        destination = route.get("DestinationCidrBlock")
        if destination is None or route.get("GatewayId") == "local":
            continue
        if interface := route.get("NetworkInterfaceId"):
            routes.append(
                Route(destination=IPv4Network(destination), target_kind="network-interface", target_id=interface)
            )
        elif gateway := route.get("GatewayId"):
            routes.append(
                Route(destination=IPv4Network(destination), target_kind="internet-gateway", target_id=gateway)
            )
    return RouteTable(id=table["RouteTableId"], routes=tuple(routes))


def _rule(rule: "SecurityGroupRuleTypeDef") -> SecurityGroupRule:
    protocol = rule["IpProtocol"]
    cidr_block = rule.get("CidrIpv4")
    return SecurityGroupRule(
        is_egress=rule["IsEgress"],
        protocol=_PROTOCOLS[protocol] if protocol in _PROTOCOLS else int(protocol),
        from_port=rule.get("FromPort", -1),
        to_port=rule.get("ToPort", -1),
        cidr_block=IPv4Network(cidr_block) if cidr_block else None,
        referenced_group_id=rule.get("ReferencedGroupInfo", {}).get("GroupId"),
    )


def _network_interface(interface: "NetworkInterfaceTypeDef") -> NetworkInterface:
    # Addresses and groups are read from the ENI, because moto does not return them with the instance.
    public_ip = interface.get("Association", {}).get("PublicIp")
    return NetworkInterface(
        id=interface["NetworkInterfaceId"],
        mac_address=interface["MacAddress"],
        subnet_id=interface["SubnetId"],
        private_ip=IPv4Address(interface["PrivateIpAddress"]),
        public_ip=IPv4Address(public_ip) if public_ip else None,
        source_dest_check=interface["SourceDestCheck"],
        security_group_ids=tuple(group["GroupId"] for group in interface["Groups"]),
        instance_id=interface.get("Attachment", {}).get("InstanceId"),
    )


def _instance(
    ec2: "EC2Client", region: str, instance: "InstanceTypeDef", reboots: int, sizes: Mapping[str, int]
) -> Instance:
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    primary = next(i for i in instance["NetworkInterfaces"] if i["Attachment"]["DeviceIndex"] == 0)
    attribute: dict[str, Any] = dict(
        ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData").get("UserData", {})
    )
    return Instance(
        id=instance["InstanceId"],
        name=tags.get("Name") or instance["InstanceId"],
        region=region,
        vpc_id=instance["VpcId"],
        state=instance["State"]["Name"],
        reboots=reboots,
        image_id=instance["ImageId"],
        image_name=_image_name(region, instance["ImageId"]),
        instance_type=instance["InstanceType"],
        root_gib=_root_gib(instance, sizes),
        network_interface_id=primary["NetworkInterfaceId"],
        user_data=base64.b64decode(attribute.get("Value") or ""),
        ssh_public_key=_public_key(region, instance["KeyName"]) if instance.get("KeyName") else None,
        instance_profile_arn=instance.get("IamInstanceProfile", {}).get("Arn"),
        tags=tags,
    )


def _root_gib(instance: "InstanceTypeDef", sizes: Mapping[str, int]) -> int:
    """Return the size of an instance's root volume; 0 while the volume goes with its instance."""
    volumes = (
        mapping.get("Ebs", {}).get("VolumeId", "")
        for mapping in instance["BlockDeviceMappings"]
        if mapping.get("DeviceName") == instance.get("RootDeviceName")
    )
    return sum(sizes.get(volume, 0) for volume in volumes)


@cache
def _image_name(region: str, image_id: str) -> str:
    ec2: EC2Client = client("ec2", region)
    return ec2.describe_images(ImageIds=[image_id])["Images"][0]["Name"]


@cache
def _public_key(region: str, key_name: str) -> str | None:
    """Return the public key of a pair, also after the pair is deleted: an instance keeps the key of its launch."""
    ec2: EC2Client = client("ec2", region)
    pairs = ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [key_name]}], IncludePublicKey=True)
    return next((pair.get("PublicKey") for pair in pairs["KeyPairs"]), None)
