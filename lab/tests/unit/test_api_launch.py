"""What a launch decides: CPU credits, instance profile, public address and default subnet."""

from typing import Any

import pytest

from lab.tests.unit.api_stack import Site, error_code, error_message, uk, wait_for_state

REGION = "eu-west-2"


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
        InstanceType=instance_type,  # type: ignore[arg-type]  # not a literal
        MinCount=1,
        MaxCount=1,
        **more,
    )
    return launched["Instances"][0]["InstanceId"]


def credits_of(site: Site, *ids: str) -> dict[str, str]:
    answer = site.ec2.describe_instance_credit_specifications(InstanceIds=list(ids))
    return {each["InstanceId"]: each["CpuCredits"] for each in answer["InstanceCreditSpecifications"]}


def test_credits_default_to_unlimited_on_t3_and_standard_on_t2_and_other_types_have_none(site: Site) -> None:
    ids = [launch(site, instance_type) for instance_type in ("t3.nano", "t2.nano", "m5.large")]
    standard_t3 = launch(site, CreditSpecification={"CpuCredits": "standard"})
    assert credits_of(site, *ids, standard_t3) == {ids[0]: "unlimited", ids[1]: "standard", standard_t3: "standard"}


def test_credits_can_be_changed_later_but_only_on_burstable_instances(site: Site) -> None:
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


def test_a_replaced_instance_profile_has_a_new_association(site: Site) -> None:
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
    instance = site.ec2.describe_instances(InstanceIds=[site.ids["instance"]])["Reservations"][0]["Instances"][0]
    assert instance["IamInstanceProfile"] == {"Arn": other["Arn"], "Id": other["InstanceProfileId"]}


@pytest.mark.parametrize(("requested", "public"), [(False, False), (True, True), (None, True)])
def test_the_request_or_else_the_subnet_decides_whether_an_instance_has_a_public_address(
    site: Site, *, requested: bool | None, public: bool
) -> None:
    subnet = site.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
    assert subnet["MapPublicIpOnLaunch"]
    choice: Any = {} if requested is None else {"AssociatePublicIpAddress": requested}
    launched = launch(site, NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet["SubnetId"], **choice}])
    instance = wait_for_state(site.ec2, launched, "running")
    assert bool(instance.get("PublicIpAddress")) is public
    assert bool(instance["NetworkInterfaces"][0].get("Association")) is public


def test_a_launch_without_a_subnet_uses_the_default_subnet_of_the_zone(site: Site) -> None:
    launched = launch(site, Placement={"AvailabilityZone": f"{REGION}b"})
    instance = wait_for_state(site.ec2, launched, "running")
    [subnet] = site.ec2.describe_subnets(SubnetIds=[instance["SubnetId"]])["Subnets"]
    assert (subnet["DefaultForAz"], subnet["AvailabilityZone"]) == (True, f"{REGION}b")
