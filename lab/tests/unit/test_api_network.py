"""VPCs, subnets, addresses, interfaces, routes and security groups: what AWS refuses and what it answers."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from lab import settings
from lab.api.addresses import AddressPool
from lab.api.client import client
from lab.tests.unit.api_stack import Site, au, error_code, error_message, served_api, uk


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with served_api() as url:
        yield url


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_network()
    site.build_identity()
    return site


def subnet_refusal(site: Site, cidr_block: str, zone: str = "eu-west-2a") -> str:
    return error_code(site.ec2.create_subnet, VpcId=site.ids["vpc"], CidrBlock=cidr_block, AvailabilityZone=zone)


def make_group(site: Site, name: str) -> str:
    made = site.ec2.create_security_group(GroupName=name, Description="x", VpcId=site.ids["vpc"])
    return made["GroupId"]


def authorize(site: Site, group: str, *permissions: dict[str, Any]) -> Any:
    call: Any = site.ec2.authorize_security_group_ingress
    return call(GroupId=group, IpPermissions=list(permissions))


def authorize_refusal(site: Site, group: str, *permissions: dict[str, Any]) -> tuple[str, str]:
    call: Any = site.ec2.authorize_security_group_ingress
    request = {"GroupId": group, "IpPermissions": list(permissions)}
    return error_code(call, **request), error_message(call, **request)


def test_a_vpc_has_a_size_that_aws_allows(site: Site) -> None:
    for cidr_block in ("10.0.0.0/15", "10.0.0.0/29"):
        assert error_code(site.ec2.create_vpc, CidrBlock=cidr_block) == "InvalidVpc.Range"


def test_a_cidr_block_becomes_canonical(site: Site) -> None:
    vpc = site.ec2.create_vpc(CidrBlock="10.77.3.9/16")["Vpc"]
    assert vpc["CidrBlock"] == "10.77.0.0/16"
    site.ec2.delete_vpc(VpcId=vpc["VpcId"])


def test_a_subnet_lies_in_its_vpc_apart_from_others_in_a_zone_of_the_region(site: Site) -> None:
    assert subnet_refusal(site, "10.2.0.0/24") == "InvalidSubnet.Range"
    assert subnet_refusal(site, "10.1.1.128/25") == "InvalidSubnet.Conflict"
    assert subnet_refusal(site, "10.1.0.0/16") == "InvalidSubnet.Conflict"
    assert subnet_refusal(site, "10.1.50.0/29") == "InvalidSubnet.Range"
    assert subnet_refusal(site, "10.1.50.0/24", "ap-southeast-2a") == "InvalidParameterValue"


def test_a_second_block_of_a_vpc_takes_subnets_and_goes_after_them(site: Site) -> None:
    block = site.ec2.associate_vpc_cidr_block(VpcId=site.ids["vpc"], CidrBlock="10.2.0.0/24")["CidrBlockAssociation"]
    subnet = site.ec2.create_subnet(VpcId=site.ids["vpc"], CidrBlock="10.2.0.0/25")["Subnet"]
    end = {"AssociationId": block["AssociationId"]}
    assert error_code(site.ec2.disassociate_vpc_cidr_block, **end) == "InvalidCidrBlock.InUse"
    site.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    site.ec2.disassociate_vpc_cidr_block(**end)
    assert subnet_refusal(site, "10.2.0.0/25") == "InvalidSubnet.Range"


def test_a_subnet_gives_no_public_addresses_unless_told(site: Site) -> None:
    [subnet] = site.ec2.describe_subnets(SubnetIds=[site.ids["public_subnet"]])["Subnets"]
    assert subnet["MapPublicIpOnLaunch"] is False
    assert subnet["DefaultForAz"] is False


def test_only_the_default_vpc_has_default_subnets(api: str) -> None:
    ec2 = client("ec2", "eu-west-3", api)
    for subnet in ec2.describe_subnets()["Subnets"]:
        assert subnet["DefaultForAz"]
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    vpc = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.5.1.0/24", AvailabilityZone="eu-west-3a")["Subnet"]
    assert (made["DefaultForAz"], made["MapPublicIpOnLaunch"]) == (False, False)


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
def test_an_interface_takes_no_reserved_foreign_or_used_address(site: Site, address: str, code: str) -> None:
    create = site.ec2.create_network_interface
    assert error_code(create, SubnetId=site.ids["public_subnet"], PrivateIpAddress=address) == code


def test_aws_picks_usable_free_addresses(site: Site) -> None:
    subnet = site.ec2.create_subnet(VpcId=site.ids["vpc"], CidrBlock="10.1.60.0/28")["Subnet"]["SubnetId"]
    made = [site.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"] for _ in range(11)]
    usable = {str(IPv4Network("10.1.60.0/28")[number]) for number in range(4, 15)}
    assert {interface["PrivateIpAddress"] for interface in made} == usable
    create = site.ec2.create_network_interface
    assert error_code(create, SubnetId=subnet) == "InsufficientFreeAddressesInSubnet"
    for interface in made:
        site.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    site.ec2.delete_subnet(SubnetId=subnet)


def test_mac_addresses_are_local_and_unique(site: Site) -> None:
    subnet = site.ids["private_subnet"]
    made = [site.ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"] for _ in range(5)]
    seen = {interface["MacAddress"] for interface in made}
    assert len(seen) == 5
    assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in seen), "locally administered, not a group address"


def test_an_interfaces_groups_exist_in_its_vpc(site: Site) -> None:
    create, subnet = site.ec2.create_network_interface, site.ids["private_subnet"]
    missing = "sg-00000000000000000"
    assert error_code(create, SubnetId=subnet, Groups=[missing]) == "InvalidSecurityGroupID.NotFound"
    groups: Any = site.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])
    foreign = next(entry["GroupId"] for entry in groups["SecurityGroups"] if entry["VpcId"] != site.ids["vpc"])
    assert error_code(create, SubnetId=subnet, Groups=[foreign]) == "InvalidParameter"


def test_elastic_ips_are_unique_over_regions_and_can_be_asked_for_by_name(api: str) -> None:
    clients = [client("ec2", region, api) for region in ("eu-west-1", "us-east-1")]
    answers = [ec2.allocate_address(Domain="vpc") for ec2 in clients for _ in range(3)]
    addresses = [IPv4Address(answer["PublicIp"]) for answer in answers]
    assert len(set(addresses)) == 6
    assert all(any(address in pool for pool in settings.ELASTIC_IP_POOLS) for address in addresses)
    taken = {"Domain": "vpc", "Address": str(addresses[0])}
    assert error_code(clients[1].allocate_address, **taken) == "InvalidAddress.NotFound"
    assert error_code(clients[0].allocate_address, Domain="vpc", Address="8.8.8.8") == "InvalidAddress.NotFound"
    clients[0].release_address(AllocationId=answers[0]["AllocationId"])
    assert clients[0].allocate_address(Domain="vpc")["PublicIp"] != str(addresses[0]), "not at once again"
    assert clients[0].allocate_address(**taken)["PublicIp"] == str(addresses[0])  # type: ignore[arg-type]


def test_a_pool_gives_every_address_once() -> None:
    pool = AddressPool((IPv4Network("203.0.113.0/29"), IPv4Network("198.51.100.0/29")))
    given = [pool.take(region) for _ in range(6) for region in ("a", "b")]
    assert len(set(given)) == 12
    assert given[0].startswith("203.0.113.")
    assert given[1].startswith("198.51.100.")
    with pytest.raises(Exception, match="AddressLimitExceeded"):
        pool.take("a")
    pool.give_back(given[3])
    assert pool.take("c") == given[3]


def test_an_address_is_associated_only_behind_an_internet_gateway(api: str) -> None:
    site = au(api)
    site.build_network()
    site.ec2.detach_internet_gateway(InternetGatewayId=site.ids["igw"], VpcId=site.ids["vpc"])
    interface = site.ec2.create_network_interface(SubnetId=site.ids["public_subnet"])["NetworkInterface"]
    eip = site.ec2.allocate_address(Domain="vpc")["AllocationId"]
    request = {"AllocationId": eip, "NetworkInterfaceId": interface["NetworkInterfaceId"]}
    assert error_code(site.ec2.associate_address, **request) == "Gateway.NotAttached"
    [table] = site.ec2.describe_route_tables(RouteTableIds=[site.ids["public_table"]])["RouteTables"]
    assert [route["State"] for route in table["Routes"]] == ["active", "blackhole"]


def test_an_association_moves_unless_it_may_not(site: Site) -> None:
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
    [left] = ec2.describe_network_interfaces(NetworkInterfaceIds=[other])["NetworkInterfaces"]
    assert "Association" not in left
    ec2.delete_network_interface(NetworkInterfaceId=third)
    [address] = ec2.describe_addresses(AllocationIds=[eip])["Addresses"]
    assert "AssociationId" not in address
    ec2.release_address(AllocationId=eip)


def test_a_destination_is_routed_once_and_inside_the_vpc(site: Site, api: str) -> None:
    ec2, table = site.ec2, site.ids["public_table"]

    def refusal(**route: Any) -> str:
        return error_code(ec2.create_route, RouteTableId=table, **route)

    eni, igw = site.ids["eni"], site.ids["igw"]
    assert refusal(DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=eni) == "RouteAlreadyExists"
    assert refusal(DestinationCidrBlock="10.1.0.0/16", GatewayId=igw) == "RouteAlreadyExists"
    assert refusal(DestinationCidrBlock="nonsense", GatewayId=igw) == "InvalidParameterValue"
    foreign = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    assert refusal(DestinationCidrBlock="192.0.2.0/24", GatewayId=foreign) == "InvalidParameterValue"
    assert refusal(DestinationCidrBlock="192.0.2.0/24") == "MissingParameter"
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.0.2.77/24", NetworkInterfaceId=eni)
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert "192.0.2.0/24" in [route["DestinationCidrBlock"] for route in found["Routes"]]
    assert refusal(DestinationCidrBlock="192.0.2.0/24", GatewayId=igw) == "RouteAlreadyExists"
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="192.0.2.0/24")
    delete = ec2.delete_route
    assert error_code(delete, RouteTableId=table, DestinationCidrBlock="192.0.2.0/24") == "InvalidRoute.NotFound"
    assert error_code(delete, RouteTableId=table, DestinationCidrBlock="10.1.0.0/16") == "InvalidParameterValue"


def test_the_main_route_table_stays_and_a_subnet_has_one(site: Site) -> None:
    main: Any = site.ec2.describe_route_tables(
        Filters=[{"Name": "vpc-id", "Values": [site.ids["vpc"]]}, {"Name": "association.main", "Values": ["true"]}]
    )
    table = main["RouteTables"][0]["RouteTableId"]
    assert error_code(site.ec2.delete_route_table, RouteTableId=table) == "DependencyViolation"
    request = {"RouteTableId": table, "SubnetId": site.ids["public_subnet"]}
    assert error_code(site.ec2.associate_route_table, **request) == "Resource.AlreadyAssociated"


def test_deleting_a_subnet_ends_its_association(site: Site) -> None:
    ec2 = site.ec2
    subnet = ec2.create_subnet(VpcId=site.ids["vpc"], CidrBlock="10.1.70.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=site.ids["vpc"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    assert error_code(ec2.delete_route_table, RouteTableId=table) == "DependencyViolation"
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_route_table(RouteTableId=table)


def test_a_vpc_has_one_internet_gateway_and_a_gateway_one_vpc(site: Site) -> None:
    ec2 = site.ec2
    other = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    attach, vpc = ec2.attach_internet_gateway, site.ids["vpc"]
    assert error_code(attach, InternetGatewayId=other, VpcId=vpc) == "InvalidParameterValue"
    assert error_code(attach, InternetGatewayId=site.ids["igw"], VpcId=vpc) == "Resource.AlreadyAssociated"
    detach = ec2.detach_internet_gateway
    assert error_code(detach, InternetGatewayId=other, VpcId=vpc) == "Gateway.NotAttached"
    ec2.delete_internet_gateway(InternetGatewayId=other)


def test_a_rule_is_there_once_whatever_its_description(site: Site) -> None:
    group = make_group(site, "once")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/24"}]}
    [added] = authorize(site, group, rule)["SecurityGroupRules"]
    assert added["CidrIpv4"] == "203.0.113.0/24"
    described = {**rule, "IpRanges": [{"CidrIp": "203.0.113.0/24", "Description": "again"}]}
    code, message = authorize_refusal(site, group, described)
    assert code == "InvalidPermission.Duplicate"
    assert message.startswith('the specified rule "peer: 203.0.113.0/24, TCP, from port: 22, to port: 22, ALLOW"')


def test_a_request_with_one_bad_rule_adds_none(site: Site) -> None:
    group = make_group(site, "atomic")
    good = {"IpProtocol": "udp", "FromPort": 500, "ToPort": 500, "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}
    assert authorize_refusal(site, group, good, good)[0] == "InvalidPermission.Duplicate"
    [found] = site.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert found["IpPermissions"] == []
    other = {**good, "FromPort": 4500, "ToPort": 4500}
    assert len(authorize(site, group, good, other)["SecurityGroupRules"]) == 2


def test_protocols_and_ports_are_checked(site: Site) -> None:
    group, anywhere = make_group(site, "protocols"), [{"CidrIp": "0.0.0.0/0"}]
    for bad in (
        {"IpProtocol": "esp"},
        {"IpProtocol": "256"},
        {"IpProtocol": "tcp"},
        {"IpProtocol": "udp", "FromPort": 9, "ToPort": 8},
        {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 70000},
    ):
        assert authorize_refusal(site, group, {**bad, "IpRanges": anywhere})[0] == "InvalidParameterValue"
    good = ({"IpProtocol": "50"}, {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1}, {"IpProtocol": "47"})
    added = authorize(site, group, *({**rule, "IpRanges": anywhere} for rule in good))["SecurityGroupRules"]
    seen = [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in added]
    assert seen == [("50", -1, -1), ("icmp", 8, -1), ("47", -1, -1)]


def test_rules_are_revoked_by_id_or_shape(site: Site) -> None:
    ec2, group = site.ec2, make_group(site, "revoked")
    rule = {"IpProtocol": "50", "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}
    [added] = authorize(site, group, rule)["SecurityGroupRules"]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[added["SecurityGroupRuleId"]])
    revoke: Any = ec2.revoke_security_group_ingress
    gone = {"GroupId": group, "SecurityGroupRuleIds": [added["SecurityGroupRuleId"]]}
    assert error_code(revoke, **gone) == "InvalidSecurityGroupRuleId.NotFound"
    authorize(site, group, rule)
    revoke(GroupId=group, IpPermissions=[rule])
    assert error_code(revoke, GroupId=group, IpPermissions=[rule]) == "InvalidPermission.NotFound"


def test_a_group_that_others_name_is_not_deleted(site: Site) -> None:
    ec2, named, naming = site.ec2, make_group(site, "named"), make_group(site, "naming")
    pair = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": named, "Description": "friends"}]}
    [added] = authorize(site, naming, pair)["SecurityGroupRules"]
    assert added["ReferencedGroupInfo"]["GroupId"] == named
    assert added["Description"] == "friends"
    assert error_code(ec2.delete_security_group, GroupId=named) == "DependencyViolation"
    ec2.delete_security_group(GroupId=naming)
    ec2.delete_security_group(GroupId=named)
    groups: Any = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [site.ids["vpc"]]}])
    default = next(entry for entry in groups["SecurityGroups"] if entry["GroupName"] == "default")
    assert error_code(ec2.delete_security_group, GroupId=default["GroupId"]) == "CannotDelete"


@pytest.mark.parametrize(
    ("describe", "parameter", "resource_id", "code"),
    [
        ("describe_vpcs", "VpcIds", "vpc-00000000000000000", "InvalidVpcID.NotFound"),
        ("describe_subnets", "SubnetIds", "subnet-00000000000000000", "InvalidSubnetID.NotFound"),
        ("describe_security_groups", "GroupIds", "sg-00000000000000000", "InvalidGroup.NotFound"),
        ("describe_route_tables", "RouteTableIds", "rtb-00000000000000000", "InvalidRouteTableID.NotFound"),
        ("describe_instances", "InstanceIds", "i-00000000000000000", "InvalidInstanceID.NotFound"),
        ("describe_addresses", "AllocationIds", "eipalloc-00000000000000000", "InvalidAllocationID.NotFound"),
        (
            "describe_internet_gateways",
            "InternetGatewayIds",
            "igw-00000000000000000",
            "InvalidInternetGatewayID.NotFound",
        ),
        (
            "describe_network_interfaces",
            "NetworkInterfaceIds",
            "eni-00000000000000000",
            "InvalidNetworkInterfaceID.NotFound",
        ),
    ],
)
def test_what_is_not_there_is_said_in_aws_words(
    site: Site, describe: str, parameter: str, resource_id: str, code: str
) -> None:
    call = getattr(site.ec2, describe)
    assert error_code(call, **{parameter: [resource_id]}) == code
    assert f"ID '{resource_id}' does not exist" in error_message(call, **{parameter: [resource_id]}).replace(
        "security group '", "ID '"
    )
