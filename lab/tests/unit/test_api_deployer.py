"""The documented policy for a deployer with a permissions boundary (docs/iam.md), tried against the API."""

import json
from typing import Any

import pytest

from lab.api.client import client
from lab.api.policies import is_allowed
from lab.tests.unit.api_stack import TRUST_EC2, Site, as_role, error_code, error_message, role_with, uk, wait_for_state
from tests.generated import ROOT

REGION = "eu-west-2"


BOUNDARY = "arn:aws:iam::123456789012:policy/vpn-gateway-boundary"


EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_role()
    site.ssm.put_parameter(Name="/vpn/au/psk", Value="another side's secret", Type="SecureString")
    return site


@pytest.fixture(scope="module")
def deployer(api: str, site: Site) -> dict[str, str]:
    """Give credentials of a role with the documented bounded policy; also create a role without a boundary."""
    boundary = (ROOT / "docs/iam-gateway-boundary.json").read_text()
    site.iam.create_policy(PolicyName="vpn-gateway-boundary", PolicyDocument=boundary)
    site.iam.create_role(RoleName="vpn-unbounded", AssumeRolePolicyDocument=TRUST_EC2)
    statements = json.loads((ROOT / "docs/iam-deployer-policy-bounded.json").read_text())["Statement"]
    return role_with(api, site, "bounded-deployer", statements)


def test_the_bounded_deployer_can_give_rights_only_to_bounded_roles(
    api: str, site: Site, deployer: dict[str, str]
) -> None:
    iam = as_role(api, deployer, "iam")
    new: dict[str, Any] = {"RoleName": "vpn-uk", "AssumeRolePolicyDocument": TRUST_EC2}
    own: dict[str, Any] = {"RoleName": "vpn-uk", "PolicyName": "all", "PolicyDocument": EVERYTHING}
    assert error_code(iam.create_role, **new) == "AccessDenied"
    assert error_code(iam.create_role, **new, PermissionsBoundary=f"{BOUNDARY}-of-mine") == "AccessDenied"
    assert error_code(iam.create_role, **{**new, "RoleName": "app"}, PermissionsBoundary=BOUNDARY) == "AccessDenied"
    arn = iam.create_role(**new, PermissionsBoundary=BOUNDARY)["Role"]["Arn"]
    iam.put_role_policy(**own)
    assert error_code(iam.delete_role_permissions_boundary, RoleName="vpn-uk") == "AccessDenied"
    other = {"RoleName": "vpn-uk", "PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
    assert error_code(iam.put_role_permissions_boundary, **other) == "AccessDenied"
    assert error_code(iam.put_role_policy, **{**own, "RoleName": "vpn-unbounded"}) == "AccessDenied"
    for call, arguments in (
        (iam.attach_role_policy, {"RoleName": "vpn-uk", "PolicyArn": BOUNDARY}),
        (iam.create_policy_version, {"PolicyArn": BOUNDARY, "PolicyDocument": EVERYTHING}),
        (iam.update_assume_role_policy, {"RoleName": "vpn-uk", "PolicyDocument": TRUST_EC2}),
    ):
        assert error_code(call, **arguments) == "AccessDenied"
    # The role's policy allows everything, so only the boundary limits it.
    role_credentials = dict(client("sts", REGION, api).assume_role(RoleArn=arn, RoleSessionName="i-0")["Credentials"])
    assert error_code(as_role(api, role_credentials, "iam").list_roles) == "AccessDenied"
    ssm = as_role(api, role_credentials, "ssm")
    assert error_code(ssm.get_parameter, Name="/vpn/uk/psk") == "AccessDeniedException"
    site.ssm.put_parameter(Name="vpn-uk-psk", Value="of this pair", Type="SecureString")
    answer = ssm.get_parameter(Name="vpn-uk-psk", WithDecryption=True)
    assert answer["Parameter"]["Value"] == "of this pair"


def test_the_bounded_deployer_can_pass_only_its_own_roles_and_only_to_ec2(
    api: str, site: Site, deployer: dict[str, str]
) -> None:
    iam = as_role(api, deployer, "iam")
    for name in ("vpn-ours", "vpn-theirs"):
        iam.create_instance_profile(InstanceProfileName=name)
    assert error_message(
        iam.add_role_to_instance_profile, InstanceProfileName="vpn-theirs", RoleName="uk-gateway"
    ).endswith("because no identity-based policy allows the iam:PassRole action")
    iam.add_role_to_instance_profile(InstanceProfileName="vpn-ours", RoleName="vpn-unbounded")
    pass_role = ("iam:PassRole", "arn:aws:iam::123456789012:role/vpn-uk")
    document = (ROOT / "docs/iam-deployer-policy-bounded.json").read_text()
    to_services = {
        service: is_allowed([document], *pass_role, {"iam:passedtoservice": service})
        for service in ("ec2.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com")
    }
    assert [service for service, allowed in to_services.items() if allowed] == ["ec2.amazonaws.com"]


def test_the_bounded_deployer_can_launch_with_and_change_only_its_own_instance_profiles(
    api: str, site: Site, deployer: dict[str, str]
) -> None:
    site.build_network()
    ec2 = as_role(api, deployer, "ec2")
    theirs: Any = {"Name": "uk-gateway"}
    launch: dict[str, Any] = {
        "ImageId": site.image_id,
        "InstanceType": "t3.nano",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": site.ids["private_subnet"],
    }
    assert "iam:PassRole" in error_message(ec2.run_instances, **launch, IamInstanceProfile=theirs)
    (without,) = ec2.run_instances(**launch)["Instances"]
    (others,) = site.ec2.run_instances(**launch, IamInstanceProfile=theirs)["Instances"]
    change: dict[str, Any] = {"UserData": {"Value": b"#!/bin/sh"}}
    for call, arguments in (
        (ec2.modify_instance_attribute, {"InstanceId": others["InstanceId"], **change}),
        (ec2.stop_instances, {"InstanceIds": [without["InstanceId"], others["InstanceId"]]}),
        (ec2.terminate_instances, {"InstanceIds": [others["InstanceId"]]}),
    ):
        assert error_code(call, **arguments) == "UnauthorizedOperation"
    ec2.terminate_instances(InstanceIds=[without["InstanceId"]])
    wait_for_state(site.ec2, without["InstanceId"], "terminated")
