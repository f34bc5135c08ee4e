"""The whole two-region stack against the lab's API: created, inspected, and deleted in wrong and right order."""

import base64
import os
from ipaddress import IPv4Address
from typing import Any

import pytest

from lab import settings
from lab.api.client import client
from lab.tests.unit.api_stack import Site, au, error_code, error_message, uk, wait_for_state


@pytest.fixture(scope="module")
def sites(api: str) -> tuple[Site, Site]:
    pair = uk(api, user_data=b"#cloud-config\n\xff\x00binary"), au(api)
    for site in pair:
        site.build_network()
        site.build_identity()
        site.build_role()
    for site, peer in (pair, pair[::-1]):
        site.admit(peer.ids["public_ip"])
        site.launch(IamInstanceProfile={"Name": f"{site.name}-gateway"})
    for site in pair:
        wait_for_state(site.ec2, site.ids["instance"], "running")
    return pair


def test_both_gateways_have_elastic_ips_from_the_documentation_ranges(sites: tuple[Site, Site]) -> None:
    addresses = [site.ids["public_ip"] for site in sites]
    assert len(set(addresses)) == 2
    assert all(any(IPv4Address(address) in pool for pool in settings.ELASTIC_IP_POOLS) for address in addresses)


def test_the_instance_shows_the_properties_of_its_interface(sites: tuple[Site, Site]) -> None:
    site = sites[0]
    instance = wait_for_state(site.ec2, site.ids["instance"], "running")
    assert instance["PrivateIpAddress"] == "10.1.1.254"
    assert instance["PublicIpAddress"] == site.ids["public_ip"]
    assert instance["SourceDestCheck"] is False
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [site.ids["group"]]
    assert instance["VpcId"] == site.ids["vpc"]
    assert instance["SubnetId"] == site.ids["public_subnet"]
    assert instance["Placement"]["AvailabilityZone"] == "eu-west-2b", (
        "the zone of its interface, not the region's first"
    )
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["IamInstanceProfile"]["Arn"].endswith(":instance-profile/uk-gateway")
    attachment = instance["NetworkInterfaces"][0]["Attachment"]
    assert (attachment["DeviceIndex"], attachment["DeleteOnTermination"]) == (0, False)


def test_the_address_names_the_instance_through_the_interface(sites: tuple[Site, Site]) -> None:
    site = sites[1]
    [address] = site.ec2.describe_addresses(AllocationIds=[site.ids["eip"]])["Addresses"]
    assert address["InstanceId"] == site.ids["instance"]
    assert address["NetworkInterfaceId"] == site.ids["eni"]
    assert address["PrivateIpAddress"] == "172.31.12.198"


def test_user_data_is_read_back_byte_for_byte(sites: tuple[Site, Site]) -> None:
    site = sites[0]
    answer = site.ec2.describe_instance_attribute(InstanceId=site.ids["instance"], Attribute="userData")
    assert base64.b64decode(answer["UserData"]["Value"]) == site.user_data


def test_the_root_volume_is_encrypted_and_deleted_with_the_instance(sites: tuple[Site, Site]) -> None:
    site = sites[0]
    instance = wait_for_state(site.ec2, site.ids["instance"], "running")
    [mapping] = instance["BlockDeviceMappings"]
    assert (mapping["DeviceName"], mapping["Ebs"]["DeleteOnTermination"]) == ("/dev/xvda", True)
    [volume] = site.ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Encrypted"], volume["Size"], volume["VolumeType"]) == (True, 8, "gp3")


def test_the_security_group_rules_keep_protocol_ports_and_range(sites: tuple[Site, Site]) -> None:
    site, peer = sites
    rules = site.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [site.ids["group"]]}])
    described = {
        (rule["IsEgress"], rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"])
        for rule in rules["SecurityGroupRules"]
    }
    address = f"{peer.ids['public_ip']}/32"
    assert described == {
        (True, "-1", -1, -1, "0.0.0.0/0"),
        (False, "udp", 500, 500, address),
        (False, "udp", 4500, 4500, address),
        (False, "50", -1, -1, address),
        (False, "-1", -1, -1, "10.1.0.0/16"),
    }


def test_the_private_route_leads_to_the_gateways_interface(sites: tuple[Site, Site]) -> None:
    site = sites[0]
    [table] = site.ec2.describe_route_tables(RouteTableIds=[site.ids["private_table"]])["RouteTables"]
    [route] = [route for route in table["Routes"] if route["DestinationCidrBlock"] == "0.0.0.0/0"]
    assert route["NetworkInterfaceId"] == site.ids["eni"]
    assert route["InstanceId"] == site.ids["instance"]
    assert route["State"] == "active"


def test_a_replaced_instance_takes_over_the_interface_and_its_address(sites: tuple[Site, Site]) -> None:
    site = sites[1]
    busy = {"DeviceIndex": 0, "NetworkInterfaceId": site.ids["eni"]}
    run = {"ImageId": site.image_id, "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1}
    assert error_code(site.ec2.run_instances, NetworkInterfaces=[busy], **run) == "InvalidNetworkInterface.InUse"
    first = site.ids["instance"]
    site.end_instance()
    [interface] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[site.ids["eni"]])["NetworkInterfaces"]
    assert interface["Status"] == "available"
    assert interface["Association"]["PublicIp"] == site.ids["public_ip"]
    second = site.launch()
    assert second != first
    assert wait_for_state(site.ec2, second, "running")["PublicIpAddress"] == site.ids["public_ip"]


def test_the_stack_can_be_deleted_only_in_the_right_order(sites: tuple[Site, Site]) -> None:
    for site in sites:
        ec2, ids = site.ec2, site.ids
        assert error_code(ec2.delete_vpc, VpcId=ids["vpc"]) == "DependencyViolation"
        assert error_code(ec2.delete_subnet, SubnetId=ids["public_subnet"]) == "DependencyViolation"
        assert error_code(ec2.delete_security_group, GroupId=ids["group"]) == "DependencyViolation"
        assert error_code(ec2.delete_route_table, RouteTableId=ids["private_table"]) == "DependencyViolation"
        assert error_code(ec2.delete_internet_gateway, InternetGatewayId=ids["igw"]) == "DependencyViolation"
        detach = {"InternetGatewayId": ids["igw"], "VpcId": ids["vpc"]}
        assert error_code(ec2.detach_internet_gateway, **detach) == "DependencyViolation"
        assert error_code(ec2.release_address, AllocationId=ids["eip"]) == "InvalidIPAddress.InUse"
        message = error_message(ec2.delete_network_interface, NetworkInterfaceId=ids["eni"])
        assert message == f"Network interface '{ids['eni']}' is currently in use."
        role = f"{site.name}-gateway"
        assert error_code(site.iam.delete_role, RoleName=role) == "DeleteConflict"
        assert error_code(site.iam.delete_instance_profile, InstanceProfileName=role) == "DeleteConflict"
        _take_down(site)
    for region in ("eu-west-2", "ap-southeast-2"):
        _assert_empty(client("ec2", region, sites[0].api))


def _take_down(site: Site) -> None:
    ec2, ids, role = site.ec2, site.ids, f"{site.name}-gateway"
    site.end_instance()
    ec2.disassociate_address(AssociationId=ids["eip_association"])
    ec2.release_address(AllocationId=ids["eip"])
    ec2.delete_network_interface(NetworkInterfaceId=ids["eni"])
    [table] = ec2.describe_route_tables(RouteTableIds=[ids["private_table"]])["RouteTables"]
    assert "blackhole" in [route["State"] for route in table["Routes"]]
    ec2.delete_security_group(GroupId=ids["group"])
    for kind in ("public", "private"):
        ec2.disassociate_route_table(AssociationId=ids[f"{kind}_association"])
        ec2.delete_route_table(RouteTableId=ids[f"{kind}_table"])
        ec2.delete_subnet(SubnetId=ids[f"{kind}_subnet"])
    assert error_code(ec2.delete_vpc, VpcId=ids["vpc"]) == "DependencyViolation"
    ec2.detach_internet_gateway(InternetGatewayId=ids["igw"], VpcId=ids["vpc"])
    ec2.delete_internet_gateway(InternetGatewayId=ids["igw"])
    ec2.delete_vpc(VpcId=ids["vpc"])
    site.iam.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)
    site.iam.delete_instance_profile(InstanceProfileName=role)
    site.iam.delete_role_policy(RoleName=role, PolicyName="secrets")
    site.iam.delete_role(RoleName=role)
    site.ssm.delete_parameter(Name=f"/vpn/{site.name}/psk")


def _assert_empty(ec2: Any) -> None:
    assert [vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]] == []
    assert ec2.describe_addresses()["Addresses"] == []
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_internet_gateways()["InternetGateways"] == []
    assert ec2.describe_volumes()["Volumes"] == []
    groups = ec2.describe_security_groups()["SecurityGroups"]
    assert {group["GroupName"] for group in groups} == {"default"}
    assert len(ec2.describe_route_tables()["RouteTables"]) == 1, "only that of the default VPC"
    assert len(ec2.describe_network_acls()["NetworkAcls"]) == 1, "only that of the default VPC"


def test_user_data_may_be_any_bytes_up_to_the_limit(api: str) -> None:
    site = uk(api, user_data=os.urandom(16384))
    site.build_network()
    site.build_identity()
    site.launch()
    answer = site.ec2.describe_instance_attribute(InstanceId=site.ids["instance"], Attribute="userData")
    assert base64.b64decode(answer["UserData"]["Value"]) == site.user_data
