"""Least privilege: what a gateway's role may do with its temporary credentials, and how it is refused."""

import hashlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.credentials import Credentials

from lab.api.client import client
from lab.api.policies import is_allowed
from lab.tests.unit.api_stack import TRUST_EC2, Site, error_code, error_message, served_api, uk
from tests.generated import ROOT

REGION = "eu-west-2"
SESSION = boto3.session.Session()


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with served_api() as url:
        yield url


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_role()
    site.ssm.put_parameter(Name="/vpn/au/psk", Value="another side's secret", Type="SecureString")
    return site


@pytest.fixture(scope="module")
def credentials(site: Site) -> dict[str, str]:
    answer = client("sts", REGION, site.api).assume_role(
        RoleArn=site.ids["role"], RoleSessionName="i-0123456789abcdef0"
    )
    return dict(answer["Credentials"])


def as_role(api: str, credentials: dict[str, str], service: str) -> Any:
    factory: Any = SESSION.client
    return factory(
        service,
        region_name=REGION,
        endpoint_url=api,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_the_role_reads_its_own_secret(api: str, credentials: dict[str, str], site: Site) -> None:
    answer = as_role(api, credentials, "ssm").get_parameter(Name="/vpn/uk/psk", WithDecryption=True)
    assert answer["Parameter"]["Value"] == "a secret"


def test_the_role_does_not_read_another_secret(api: str, credentials: dict[str, str], site: Site) -> None:
    ssm = as_role(api, credentials, "ssm")
    wanted = {"Name": "/vpn/au/psk", "WithDecryption": True}
    assert error_code(ssm.get_parameter, **wanted) == "AccessDeniedException"
    message = error_message(ssm.get_parameter, **wanted)
    assert "assumed-role/uk-gateway/i-0123456789abcdef0 is not authorized to perform: ssm:GetParameter" in message
    assert "arn:aws:ssm:eu-west-2:123456789012:parameter/vpn/au/psk" in message


def test_the_role_may_do_nothing_else(api: str, credentials: dict[str, str], site: Site) -> None:
    assert error_code(as_role(api, credentials, "ec2").describe_instances) == "UnauthorizedOperation"
    assert error_code(as_role(api, credentials, "iam").list_roles) == "AccessDenied"
    put = as_role(api, credentials, "ssm").put_parameter
    assert error_code(put, Name="/vpn/uk/psk", Value="x", Overwrite=True) == "AccessDeniedException"


def test_anyone_may_ask_who_they_are(api: str, credentials: dict[str, str], site: Site) -> None:
    identity = as_role(api, credentials, "sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/uk-gateway/i-0123456789abcdef0"


def test_a_wrong_token_or_secret_is_refused(api: str, credentials: dict[str, str], site: Site) -> None:
    wanted = {"Name": "/vpn/uk/psk"}
    wrong_token = {**credentials, "SessionToken": "x"}
    assert error_code(as_role(api, wrong_token, "ssm").get_parameter, **wanted) == "UnrecognizedClientException"
    wrong_secret = {**credentials, "SecretAccessKey": "x"}
    assert error_code(as_role(api, wrong_secret, "ssm").get_parameter, **wanted) == "InvalidSignatureException"
    assert error_code(as_role(api, wrong_secret, "ec2").describe_vpcs) == "AuthFailure"


def test_expired_credentials_are_refused(api: str, site: Site) -> None:
    from moto.sts.models import sts_backends  # noqa: PLC0415 - to turn the clock back

    answer = client("sts", REGION, api).assume_role(RoleArn=site.ids["role"], RoleSessionName="i-0")["Credentials"]
    session = sts_backends["123456789012"]["aws"].get_assumed_role_from_access_key(answer["AccessKeyId"])
    assert session is not None
    session.expiration -= timedelta(hours=2)
    ssm = as_role(api, answer, "ssm")
    assert error_code(ssm.get_parameter, Name="/vpn/uk/psk") == "ExpiredTokenException"


def test_a_policy_taken_away_counts_at_once(api: str, site: Site) -> None:
    arn = site.iam.create_role(RoleName="short", AssumeRolePolicyDocument=TRUST_EC2)["Role"]["Arn"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": everything})
    site.iam.put_role_policy(RoleName="short", PolicyName="all", PolicyDocument=document)
    answer = client("sts", REGION, api).assume_role(RoleArn=arn, RoleSessionName="i-0")["Credentials"]
    ec2 = as_role(api, answer, "ec2")
    assert ec2.describe_vpcs()["Vpcs"]
    site.iam.delete_role_policy(RoleName="short", PolicyName="all")
    assert error_code(ec2.describe_vpcs) == "UnauthorizedOperation"


def test_a_managed_policy_counts(api: str, site: Site) -> None:
    arn = site.iam.create_role(RoleName="managed", AssumeRolePolicyDocument=TRUST_EC2)["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = site.iam.create_policy(PolicyName="describe", PolicyDocument=document)["Policy"]["Arn"]
    answer = client("sts", REGION, api).assume_role(RoleArn=arn, RoleSessionName="i-0")["Credentials"]
    ec2 = as_role(api, answer, "ec2")
    assert error_code(ec2.describe_vpcs) == "UnauthorizedOperation"
    site.iam.attach_role_policy(RoleName="managed", PolicyArn=policy)
    assert ec2.describe_vpcs()["Vpcs"]
    assert error_code(ec2.create_vpc, CidrBlock="10.9.0.0/16") == "UnauthorizedOperation"


def _role_with(api: str, site: Site, name: str, statements: list[dict[str, Any]]) -> dict[str, Any]:
    arn = site.iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST_EC2)["Role"]["Arn"]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    site.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document)
    answer = client("sts", REGION, api).assume_role(RoleArn=arn, RoleSessionName="i-0")
    return dict(answer["Credentials"])


def test_a_secret_under_a_key_of_the_account_needs_that_key_too(api: str, site: Site) -> None:
    key = "arn:aws:kms:eu-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    for name in ("/keyed/own", "/keyed/other"):
        site.ssm.put_parameter(Name=name, Value="x", Type="SecureString", KeyId=key)
    own = f"arn:aws:ssm:{REGION}:123456789012:parameter/keyed/own"
    read = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"{own[:-3]}*"}
    decrypt = {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": key,
        "Condition": {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": [own]}},
    }
    without = as_role(api, _role_with(api, site, "no-key", [read]), "ssm").get_parameter
    assert "not authorized to perform: kms:Decrypt" in error_message(without, Name="/keyed/own", WithDecryption=True)
    assert without(Name="/keyed/own")["Parameter"]["Name"] == "/keyed/own"
    get = as_role(api, _role_with(api, site, "keyed", [read, decrypt]), "ssm").get_parameter
    assert get(Name="/keyed/own", WithDecryption=True)["Parameter"]["Value"] == "x"
    assert error_code(get, Name="/keyed/other", WithDecryption=True) == "AccessDeniedException"


def test_credentials_that_are_bound_to_an_address_are_refused_from_any_other(api: str, site: Site) -> None:
    own = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}

    def used_from(name: str, address: str) -> Any:
        bound = {**own, "Condition": {"IpAddress": {"aws:SourceIp": f"{address}/32"}}}
        return as_role(api, _role_with(api, site, name, [bound]), "ssm").get_parameter

    assert used_from("at-home", "127.0.0.1")(Name="/vpn/uk/psk")["Parameter"]["Name"] == "/vpn/uk/psk"
    assert error_code(used_from("stolen", "203.0.113.10"), Name="/vpn/uk/psk") == "AccessDeniedException"


def test_what_ends_tls_for_a_caller_says_where_the_caller_is(api: str, site: Site) -> None:
    read = {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}
    bound = {**read, "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.10/32"}}}
    ec2 = as_role(api, _role_with(api, site, "proxied", [bound]), "ec2")
    signed: list[Any] = []
    ec2.meta.events.register("before-send.ec2.DescribeVpcs", lambda request, **_: signed.append(request))
    assert error_code(ec2.describe_vpcs) == "UnauthorizedOperation"
    headers = "".join(f"{name}: {_text(value)}\r\n" for name, value in signed[0].headers.items())
    host = api.removeprefix("http://")
    text = f"POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n{_text(signed[0].body)}"
    for source, status in (("203.0.113.10", b"200"), ("203.0.113.11", b"403")):
        with socket.create_connection((host.split(":")[0], int(host.split(":")[1]))) as link:
            link.sendall(f"PROXY TCP4 {source} 192.0.2.1 1234 443\r\n{text}".encode())
            assert link.makefile("rb").read().split()[1] == status


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_a_boundary_bounds_what_the_roles_own_policies_allow(api: str, site: Site) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    only = {"Version": "2012-10-17", "Statement": {**everything, "Action": "ec2:DescribeVpcs"}}
    boundary = site.iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(only))["Policy"]["Arn"]
    ec2 = as_role(api, _role_with(api, site, "bounded", [everything]), "ec2")
    assert ec2.describe_subnets()["Subnets"]
    site.iam.put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=boundary)
    assert ec2.describe_vpcs()["Vpcs"]
    assert error_code(ec2.describe_subnets) == "UnauthorizedOperation"


BOUNDARY = "arn:aws:iam::123456789012:policy/vpn-gateway-boundary"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


@pytest.fixture(scope="module")
def deployer(api: str, site: Site) -> dict[str, str]:
    """Give the credentials of a role with the documented bounded policy; beside it a role and instance of others."""
    boundary = (ROOT / "docs/iam-gateway-boundary.json").read_text()
    site.iam.create_policy(PolicyName="vpn-gateway-boundary", PolicyDocument=boundary)
    site.iam.create_role(RoleName="vpn-unbounded", AssumeRolePolicyDocument=TRUST_EC2)
    statements = json.loads((ROOT / "docs/iam-deployer-policy-bounded.json").read_text())["Statement"]
    return _role_with(api, site, "bounded-deployer", statements)


def test_the_bounded_deployer_gives_rights_to_bounded_roles_alone(
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
    # Whatever policy the role was given: it may what the boundary says, no more.
    made = dict(client("sts", REGION, api).assume_role(RoleArn=arn, RoleSessionName="i-0")["Credentials"])
    assert error_code(as_role(api, made, "iam").list_roles) == "AccessDenied"
    assert error_code(as_role(api, made, "ssm").get_parameter, Name="/vpn/uk/psk") == "AccessDeniedException"
    site.ssm.put_parameter(Name="vpn-uk-psk", Value="of this pair", Type="SecureString")
    read = as_role(api, made, "ssm").get_parameter(Name="vpn-uk-psk", WithDecryption=True)
    assert read["Parameter"]["Value"] == "of this pair"


def test_the_bounded_deployer_passes_its_own_roles_and_to_ec2_alone(
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


def test_the_bounded_deployer_launches_with_and_touches_its_own_profiles_alone(
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
    site.ec2.terminate_instances(InstanceIds=[others["InstanceId"]])


def test_only_a_role_that_exists_and_trusts_is_assumed(api: str, site: Site) -> None:
    sts = client("sts", REGION, api)
    missing = "arn:aws:iam::123456789012:role/missing"
    assert error_code(sts.assume_role, RoleArn=missing, RoleSessionName="i-0") == "AccessDenied"
    trust = TRUST_EC2.replace("ec2.amazonaws.com", "lambda.amazonaws.com")
    arn = site.iam.create_role(RoleName="function", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    assert error_code(sts.assume_role, RoleArn=arn, RoleSessionName="i-0") == "AccessDenied"


def test_curl_signs_as_the_gateways_boot_script_does(api: str, credentials: dict[str, str], site: Site) -> None:
    curl = shutil.which("curl")
    assert curl, "curl is a prerequisite of the lab"
    signing = Credentials(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonSSM.GetParameter",
        "X-Amz-Security-Token": signing.token or "",
        "Host": f"ssm.{REGION}.amazonaws.com",
    }
    command = [curl, "--silent", "--aws-sigv4", f"aws:amz:{REGION}:ssm", "--config", "-", api + "/"]
    lines = [f'header = "{name}: {value}"' for name, value in headers.items()]
    lines += [f'user = "{signing.access_key}:{signing.secret_key}"']
    lines += ['data = "{\\"Name\\": \\"/vpn/uk/psk\\", \\"WithDecryption\\": true}"']
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["Parameter"]["Value"] == "a secret"
    # the same request by a key that is not the session's
    forged = "\n".join(lines).replace(signing.secret_key, hashlib.sha256(b"x").hexdigest())
    done = subprocess.run(command, input=forged, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["__type"] == "InvalidSignatureException"
