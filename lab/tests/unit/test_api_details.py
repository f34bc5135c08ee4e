"""CPU credits, profiles, public addresses, tags, managed policies, and faults on demand."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.api.client import client
from lab.tests.unit.api_stack import Site, error_code, error_message, lab_path, served_api, uk, wait_for_state

REGION = "eu-west-2"


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with served_api() as url:
        yield url


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_network()
    site.build_identity()
    site.build_role()
    profile = site.iam.list_instance_profiles()["InstanceProfiles"][0]["InstanceProfileName"]
    site.launch(IamInstanceProfile={"Name": profile})
    return site


def launch(site: Site, instance_type: str = "t3.nano", **more: Any) -> str:
    launched = site.ec2.run_instances(
        ImageId=site.image_id,
        InstanceType=instance_type,  # type: ignore[arg-type]
        MinCount=1,
        MaxCount=1,
        **more,
    )
    return launched["Instances"][0]["InstanceId"]


def credits_of(site: Site, *ids: str) -> dict[str, str]:
    found = site.ec2.describe_instance_credit_specifications(InstanceIds=list(ids))
    return {each["InstanceId"]: each["CpuCredits"] for each in found["InstanceCreditSpecifications"]}


def test_credits_are_unlimited_on_t3_standard_on_t2_and_none_on_others_unless_asked(site: Site) -> None:
    ids = [launch(site, kind) for kind in ("t3.nano", "t2.nano", "m5.large")]
    asked = launch(site, CreditSpecification={"CpuCredits": "standard"})
    assert credits_of(site, *ids, asked) == {ids[0]: "unlimited", ids[1]: "standard", asked: "standard"}


def test_credits_can_be_changed_later_but_not_of_instances_without_any(site: Site) -> None:
    burstable, other = launch(site), launch(site, "m5.large")
    answer = site.ec2.modify_instance_credit_specification(
        InstanceCreditSpecifications=[
            {"InstanceId": burstable, "CpuCredits": "standard"},
            {"InstanceId": other, "CpuCredits": "standard"},
        ]
    )
    assert answer["SuccessfulInstanceCreditSpecifications"] == [{"InstanceId": burstable}]
    [failed] = answer["UnsuccessfulInstanceCreditSpecifications"]
    assert (failed["InstanceId"], failed["Error"]["Code"]) == (other, "InstanceCreditSpecification.NotSupported")
    assert credits_of(site, burstable) == {burstable: "standard"}
    wrong: Any = [{"InstanceId": burstable, "CpuCredits": "free"}]
    change = site.ec2.modify_instance_credit_specification
    assert error_code(change, InstanceCreditSpecifications=wrong) == "InvalidParameterValue"


def test_a_replaced_profile_is_the_instances_by_a_new_association(site: Site) -> None:
    role = site.iam.list_roles()["Roles"][0]["RoleName"]
    other = site.iam.create_instance_profile(InstanceProfileName="other")["InstanceProfile"]
    [old] = site.ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    replace = site.ec2.replace_iam_instance_profile_association
    arguments: Any = {"AssociationId": old["AssociationId"], "IamInstanceProfile": {"Name": "other"}}
    assert "has no associated IAM Roles" in error_message(replace, **arguments)
    site.iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName=role)
    replace(**arguments)
    [new] = site.ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert new["AssociationId"] != old["AssociationId"]
    found = site.ec2.describe_instances(InstanceIds=[site.ids["instance"]])["Reservations"][0]["Instances"][0]
    assert found["IamInstanceProfile"] == {"Arn": other["Arn"], "Id": other["InstanceProfileId"]}


@pytest.mark.parametrize(("asked", "public"), [(False, False), (True, True), (None, True)])
def test_an_instance_has_a_public_address_as_asked_and_else_as_its_subnet_says(
    site: Site, *, asked: bool | None, public: bool
) -> None:
    subnet = site.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
    assert subnet["MapPublicIpOnLaunch"]
    wish: Any = {} if asked is None else {"AssociatePublicIpAddress": asked}
    launched = launch(site, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet["SubnetId"], **wish}])
    instance = wait_for_state(site.ec2, launched, "running")
    assert bool(instance.get("PublicIpAddress")) is public
    assert bool(instance["NetworkInterfaces"][0].get("Association")) is public


def test_an_instance_without_a_subnet_is_launched_into_the_zones_default_one(site: Site) -> None:
    launched = launch(site, Placement={"AvailabilityZone": f"{REGION}b"})
    instance = wait_for_state(site.ec2, launched, "running")
    [subnet] = site.ec2.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
    assert (subnet["DefaultForAz"], subnet["AvailabilityZone"]) == (True, f"{REGION}b")


def test_what_is_deleted_has_no_tags_any_more(site: Site) -> None:
    def tagged(kind: str) -> Any:
        return [{"ResourceType": kind, "Tags": [{"Key": "trial", "Value": "1"}]}]

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
    made = site.ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name", "Values": ["lab.internal"]}],
        TagSpecifications=[{"ResourceType": "dhcp-options", "Tags": [{"Key": "Name", "Value": "lab"}]}],
    )
    assert made["DhcpOptions"]["Tags"] == [{"Key": "Name", "Value": "lab"}]


def test_a_policy_that_aws_manages_gives_a_role_its_rights(site: Site) -> None:
    role = site.ids["role"].rpartition("/")[2]
    answer = client("sts", REGION, site.api).assume_role(RoleArn=site.ids["role"], RoleSessionName="trial")
    session: Any = boto3.session.Session()
    ssm = session.client(
        "ssm",
        region_name=REGION,
        endpoint_url=site.api,
        aws_access_key_id=answer["Credentials"]["AccessKeyId"],
        aws_secret_access_key=answer["Credentials"]["SecretAccessKey"],
        aws_session_token=answer["Credentials"]["SessionToken"],
    )
    site.ssm.put_parameter(Name="/managed/secret", Value="x", Type="String")
    assert error_code(ssm.get_parameter, Name="/managed/secret") == "AccessDeniedException"
    site.iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess")
    assert ssm.get_parameter(Name="/managed/secret")["Parameter"]["Value"] == "x"


def ask_for_fault(api: str, query: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{api}/_lab/faults?{query}", method="POST")).close()  # noqa: S310


def test_a_fault_meets_as_many_calls_of_its_region_as_asked(api: str, site: Site) -> None:
    ask_for_fault(api, f"action=CreateVpc&region={REGION}&code=VpcLimitExceeded&times=2")
    elsewhere = client("ec2", "ap-southeast-2", api)
    assert elsewhere.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    for left in (1, 0):
        assert error_code(site.ec2.create_vpc, CidrBlock="10.60.0.0/16") == "VpcLimitExceeded"
        assert sum(fault["times"] for fault in lab_path(api, "/_lab/faults")) == left
    assert site.ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]


def test_a_fault_that_only_delays_lets_the_call_through(api: str, site: Site) -> None:
    ask_for_fault(api, "action=DescribeVpcs&code=&seconds=0.3")
    assert site.ec2.describe_vpcs()["Vpcs"]
    call = lab_path(api, "/_lab/calls")[-1]
    assert (call["action"], call["duration_ms"] > 300) == ("DescribeVpcs", True)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("region=eu-west-2", "needs an action"),
        ("action=RunInstances&when=now", "does not know when"),
        ("action=RunInstances&times=often", "are numbers"),
    ],
)
def test_a_fault_in_other_words_is_refused(api: str, query: str, said: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask_for_fault(api, query)
    assert caught.value.code == 400
    assert said in caught.value.read().decode()
    assert lab_path(api, "/_lab/faults") == []


def test_a_refused_launch_leaves_nothing_behind(api: str, site: Site) -> None:
    before = len(site.ec2.describe_instances()["Reservations"])
    ask_for_fault(api, "action=RunInstances")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        launch(site)
    assert len(site.ec2.describe_instances()["Reservations"]) == before
