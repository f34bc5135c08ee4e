"""Private addresses of network interfaces, and Elastic IP addresses."""

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from lab import settings
from lab.api.addresses import AddressPool
from lab.api.client import client
from lab.tests.unit.api_stack import Site, au, error_code, uk


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_network()
    site.build_identity()
    return site


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("10.1.1.0", "InvalidParameterValue"),
        ("10.1.1.3", "InvalidParameterValue"),
        ("10.1.1.255", "InvalidParameterValue"),
        ("10.1.2.9", "InvalidParameterValue"),
        ("10.1.1.254", "InvalidIPAddress.InUse"),
    ],
)
def test_an_interface_cannot_have_a_reserved_foreign_or_used_address(site: Site, address: str, code: str) -> None:
    create = site.ec2.create_network_interface
    assert error_code(create, SubnetId=site.ids["public_subnet"], PrivateIpAddress=address) == code


def test_the_api_picks_only_usable_free_addresses(site: Site) -> None:
    subnet = site.ec2.create_subnet(VpcId=site.ids["vpc"], CidrBlock="10.1.60.0/28")["Subnet"]["SubnetId"]
    interfaces = [site.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"] for _ in range(11)]
    usable = {str(IPv4Network("10.1.60.0/28")[number]) for number in range(4, 15)}
    assert {interface["PrivateIpAddress"] for interface in interfaces} == usable
    create = site.ec2.create_network_interface
    assert error_code(create, SubnetId=subnet) == "InsufficientFreeAddressesInSubnet"
    for interface in interfaces:
        site.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    site.ec2.delete_subnet(SubnetId=subnet)


def test_mac_addresses_are_local_and_unique(site: Site) -> None:
    subnet = site.ids["private_subnet"]
    interfaces = [site.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"] for _ in range(5)]
    mac_addresses = {interface["MacAddress"] for interface in interfaces}
    assert len(mac_addresses) == 5
    assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in mac_addresses), "locally administered, not a group address"


def test_the_groups_of_an_interface_must_exist_in_its_vpc(site: Site) -> None:
    create, subnet = site.ec2.create_network_interface, site.ids["private_subnet"]
    missing = "sg-00000000000000000"
    assert error_code(create, SubnetId=subnet, Groups=[missing]) == "InvalidSecurityGroupID.NotFound"
    groups: Any = site.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])
    foreign = next(entry["GroupId"] for entry in groups["SecurityGroups"] if entry["VpcId"] != site.ids["vpc"])
    assert error_code(create, SubnetId=subnet, Groups=[foreign]) == "InvalidParameter"


def test_elastic_ips_are_unique_across_regions_and_a_released_one_can_be_recovered(api: str) -> None:
    clients = [client("ec2", region, api) for region in ("eu-west-1", "us-east-1")]
    answers = [ec2.allocate_address(Domain="vpc") for ec2 in clients for _ in range(3)]
    addresses = [IPv4Address(answer["PublicIp"]) for answer in answers]
    assert len(set(addresses)) == 6
    assert all(any(address in pool for pool in settings.ELASTIC_IP_POOLS) for address in addresses)
    taken = {"Domain": "vpc", "Address": str(addresses[0])}
    assert error_code(clients[1].allocate_address, **taken) == "InvalidAddress.NotFound"
    assert error_code(clients[0].allocate_address, Domain="vpc", Address="8.8.8.8") == "InvalidAddress.NotFound"
    clients[0].release_address(AllocationId=answers[0]["AllocationId"])
    assert clients[0].allocate_address(Domain="vpc")["PublicIp"] != str(addresses[0]), "not reused at once"
    # The arguments are a parameter.
    assert clients[0].allocate_address(**taken)["PublicIp"] == str(addresses[0])  # type: ignore[arg-type]


def test_a_pool_allocates_every_address_once() -> None:
    pool = AddressPool((IPv4Network("203.0.113.0/29"), IPv4Network("198.51.100.0/29")))
    addresses = [pool.take(region) for _ in range(6) for region in ("a", "b")]
    assert len(set(addresses)) == 12
    assert addresses[0].startswith("203.0.113.")
    assert addresses[1].startswith("198.51.100.")
    with pytest.raises(Exception, match="AddressLimitExceeded"):
        pool.take("a")
    pool.give_back(addresses[3])
    assert pool.take("c") == addresses[3]


def test_an_address_can_be_associated_only_in_a_vpc_with_an_internet_gateway(api: str) -> None:
    site = au(api)
    site.build_network()
    site.ec2.detach_internet_gateway(InternetGatewayId=site.ids["igw"], VpcId=site.ids["vpc"])
    interface = site.ec2.create_network_interface(SubnetId=site.ids["public_subnet"])["NetworkInterface"]
    eip = site.ec2.allocate_address(Domain="vpc")["AllocationId"]
    request = {"AllocationId": eip, "NetworkInterfaceId": interface["NetworkInterfaceId"]}
    assert error_code(site.ec2.associate_address, **request) == "Gateway.NotAttached"
    [table] = site.ec2.describe_route_tables(RouteTableIds=[site.ids["public_table"]])["RouteTables"]
    assert [route["State"] for route in table["Routes"]] == ["active", "blackhole"]


def test_an_association_moves_unless_reassociation_is_forbidden(site: Site) -> None:
    ec2 = site.ec2
    other = ec2.create_network_interface(SubnetId=site.ids["public_subnet"])["NetworkInterface"]["NetworkInterfaceId"]
    eip = ec2.allocate_address(Domain="vpc")["AllocationId"]
    first = ec2.associate_address(AllocationId=eip, NetworkInterfaceId=other)["AssociationId"]
    assert ec2.associate_address(AllocationId=eip, NetworkInterfaceId=other)["AssociationId"] == first
    subnet = site.ids["public_subnet"]
    third = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    move = {"AllocationId": eip, "NetworkInterfaceId": third}
    assert error_code(ec2.associate_address, AllowReassociation=False, **move) == "Resource.AlreadyAssociated"
    ec2.associate_address(AllocationId=eip, NetworkInterfaceId=third)
    [address] = ec2.describe_addresses(AllocationIds=[eip])["Addresses"]
    assert address["NetworkInterfaceId"] == third
    [former] = ec2.describe_network_interfaces(NetworkInterfaceIds=[other])["NetworkInterfaces"]
    assert "Association" not in former
    ec2.delete_network_interface(NetworkInterfaceId=third)
    [address] = ec2.describe_addresses(AllocationIds=[eip])["Addresses"]
    assert "AssociationId" not in address
    ec2.release_address(AllocationId=eip)
