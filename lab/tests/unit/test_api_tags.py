"""Tags: of deleted resources and of DHCP options."""

from typing import Any

import pytest

from lab.tests.unit.api_stack import Site, uk


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    return uk(api)


def test_a_deleted_resource_has_no_tags(site: Site) -> None:
    def tagged(resource_type: str) -> Any:
        return [{"ResourceType": resource_type, "Tags": [{"Key": "trial", "Value": "1"}]}]

    ec2 = site.ec2
    vpc = ec2.create_vpc(CidrBlock="10.50.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.50.1.0/24", TagSpecifications=tagged("subnet"))
    interface = ec2.create_network_interface(
        SubnetId=subnet["Subnet"]["SubnetId"], TagSpecifications=tagged("network-interface")
    )
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))
    group = ec2.create_security_group(
        GroupName="x", Description="x", VpcId=vpc, TagSpecifications=tagged("security-group")
    )
    rules = ec2.authorize_security_group_ingress(
        GroupId=group["GroupId"],
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
        TagSpecifications=tagged("security-group-rule"),
    )

    def remaining() -> int:
        return len(ec2.describe_tags(Filters=[{"Name": "key", "Values": ["trial"]}])["Tags"])

    assert remaining() == 6
    rule = rules["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], SecurityGroupRuleIds=[rule])
    assert remaining() == 5
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterface"]["NetworkInterfaceId"])
    ec2.delete_subnet(SubnetId=subnet["Subnet"]["SubnetId"])
    ec2.delete_security_group(GroupId=group["GroupId"])
    assert remaining() == 2
    ec2.delete_vpc(VpcId=vpc)
    ec2.release_address(AllocationId=address["AllocationId"])
    assert remaining() == 0


def test_dhcp_options_are_created_with_their_tags(site: Site) -> None:
    created = site.ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name", "Values": ["lab.internal"]}],
        TagSpecifications=[{"ResourceType": "dhcp-options", "Tags": [{"Key": "Name", "Value": "lab"}]}],
    )
    assert created["DhcpOptions"]["Tags"] == [{"Key": "Name", "Value": "lab"}]
