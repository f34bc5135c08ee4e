"""Least privilege: what a gateway's role may do with its temporary credentials, and how everything else is refused."""

import hashlib
import json
import re
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import Credentials

from lab.api.client import client
from lab.tests.unit.api_stack import TRUST_EC2, Site, as_role, error_code, error_message, role_with, uk

REGION = "eu-west-2"


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


def test_the_role_reads_its_own_secret(api: str, credentials: dict[str, str], site: Site) -> None:
    answer = as_role(api, credentials, "ssm").get_parameter(Name="/vpn/uk/psk", WithDecryption=True)
    assert answer["Parameter"]["Value"] == "a secret"


def test_the_role_cannot_read_another_secret(api: str, credentials: dict[str, str], site: Site) -> None:
    ssm = as_role(api, credentials, "ssm")
    request = {"Name": "/vpn/au/psk", "WithDecryption": True}
    assert error_code(ssm.get_parameter, **request) == "AccessDeniedException"
    message = error_message(ssm.get_parameter, **request)
    assert "assumed-role/uk-gateway/i-0123456789abcdef0 is not authorized to perform: ssm:GetParameter" in message
    assert "arn:aws:ssm:eu-west-2:123456789012:parameter/vpn/au/psk" in message


def test_the_role_cannot_call_any_other_action(api: str, credentials: dict[str, str], site: Site) -> None:
    assert error_code(as_role(api, credentials, "ec2").describe_instances) == "UnauthorizedOperation"
    assert error_code(as_role(api, credentials, "iam").list_roles) == "AccessDenied"
    put = as_role(api, credentials, "ssm").put_parameter
    assert error_code(put, Name="/vpn/uk/psk", Value="x", Overwrite=True) == "AccessDeniedException"


def test_every_principal_can_call_get_caller_identity(api: str, credentials: dict[str, str], site: Site) -> None:
    identity = as_role(api, credentials, "sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/uk-gateway/i-0123456789abcdef0"


def test_a_wrong_token_or_secret_is_refused(api: str, credentials: dict[str, str], site: Site) -> None:
    request = {"Name": "/vpn/uk/psk"}
    wrong_token = {**credentials, "SessionToken": "x"}
    assert error_code(as_role(api, wrong_token, "ssm").get_parameter, **request) == "UnrecognizedClientException"
    wrong_secret = {**credentials, "SecretAccessKey": "x"}
    assert error_code(as_role(api, wrong_secret, "ssm").get_parameter, **request) == "InvalidSignatureException"
    assert error_code(as_role(api, wrong_secret, "ec2").describe_vpcs) == "AuthFailure"


def test_expired_credentials_are_refused(api: str, site: Site) -> None:
    from moto.sts.models import sts_backends  # noqa: PLC0415 - only to make a session expire

    answer = client("sts", REGION, api).assume_role(RoleArn=site.ids["role"], RoleSessionName="i-0")["Credentials"]
    session = sts_backends["123456789012"]["aws"].get_assumed_role_from_access_key(answer["AccessKeyId"])
    assert session is not None
    session.expiration -= timedelta(hours=2)
    ssm = as_role(api, answer, "ssm")
    assert error_code(ssm.get_parameter, Name="/vpn/uk/psk") == "ExpiredTokenException"


@pytest.mark.parametrize(
    ("minutes", "words"), [(-6, "Signature expired: .* - 5 min"), (6, "Signature not yet current: .* [+] 5 min")]
)
def test_a_request_signed_by_a_clock_that_is_off_is_refused(
    api: str, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch, minutes: int, words: str
) -> None:
    def call(skew: timedelta) -> Any:
        now = datetime.now(UTC).replace(tzinfo=None)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now + skew)
        return as_role(api, credentials, "ssm").get_parameter

    assert call(timedelta(minutes=minutes) * 0.7)(Name="/vpn/uk/psk")["Parameter"]["Name"] == "/vpn/uk/psk"
    refused = call(timedelta(minutes=minutes))
    assert error_code(refused, Name="/vpn/uk/psk") == "InvalidSignatureException"
    assert re.search(words, error_message(refused, Name="/vpn/uk/psk"))
    cloudwatch = as_role(api, credentials, "cloudwatch").put_metric_data
    datum = {"MetricName": "TunnelUp", "Value": 1}
    assert error_code(cloudwatch, Namespace="VpnGatewayPair", MetricData=[datum]) == "SignatureDoesNotMatch"


def test_deleting_a_policy_takes_effect_at_once(api: str, site: Site) -> None:
    arn = site.iam.create_role(RoleName="short", AssumeRolePolicyDocument=TRUST_EC2)["Role"]["Arn"]
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": everything})
    site.iam.put_role_policy(RoleName="short", PolicyName="all", PolicyDocument=document)
    answer = client("sts", REGION, api).assume_role(RoleArn=arn, RoleSessionName="i-0")["Credentials"]
    ec2 = as_role(api, answer, "ec2")
    assert ec2.describe_vpcs()["Vpcs"]
    site.iam.delete_role_policy(RoleName="short", PolicyName="all")
    assert error_code(ec2.describe_vpcs) == "UnauthorizedOperation"


def test_an_attached_managed_policy_grants_its_rights(api: str, site: Site) -> None:
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


def test_a_secret_under_a_customers_key_requires_the_right_to_use_that_key(api: str, site: Site) -> None:
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
    without = as_role(api, role_with(api, site, "no-key", [read]), "ssm").get_parameter
    assert "not authorized to perform: kms:Decrypt" in error_message(without, Name="/keyed/own", WithDecryption=True)
    assert without(Name="/keyed/own")["Parameter"]["Name"] == "/keyed/own"
    get = as_role(api, role_with(api, site, "keyed", [read, decrypt]), "ssm").get_parameter
    assert get(Name="/keyed/own", WithDecryption=True)["Parameter"]["Value"] == "x"
    assert error_code(get, Name="/keyed/other", WithDecryption=True) == "AccessDeniedException"


def test_credentials_that_are_bound_to_an_address_are_refused_from_any_other_address(api: str, site: Site) -> None:
    own = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}

    def reader_bound_to(name: str, address: str) -> Any:
        bound = {**own, "Condition": {"IpAddress": {"aws:SourceIp": f"{address}/32"}}}
        return as_role(api, role_with(api, site, name, [bound]), "ssm").get_parameter

    assert reader_bound_to("at-home", "127.0.0.1")(Name="/vpn/uk/psk")["Parameter"]["Name"] == "/vpn/uk/psk"
    assert error_code(reader_bound_to("stolen", "203.0.113.10"), Name="/vpn/uk/psk") == "AccessDeniedException"


def test_the_proxy_protocol_line_gives_the_callers_address(api: str, site: Site) -> None:
    read = {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}
    bound = {**read, "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.10/32"}}}
    ec2 = as_role(api, role_with(api, site, "proxied", [bound]), "ec2")
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


def test_a_permissions_boundary_limits_the_rights_of_the_roles_policies(api: str, site: Site) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    only = {"Version": "2012-10-17", "Statement": {**everything, "Action": "ec2:DescribeVpcs"}}
    boundary = site.iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(only))["Policy"]["Arn"]
    ec2 = as_role(api, role_with(api, site, "bounded", [everything]), "ec2")
    assert ec2.describe_subnets()["Subnets"]
    site.iam.put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=boundary)
    assert ec2.describe_vpcs()["Vpcs"]
    assert error_code(ec2.describe_subnets) == "UnauthorizedOperation"


def test_only_an_existing_role_that_trusts_ec2_or_the_account_can_be_assumed(api: str, site: Site) -> None:
    sts = client("sts", REGION, api)
    missing = "arn:aws:iam::123456789012:role/missing"
    assert error_code(sts.assume_role, RoleArn=missing, RoleSessionName="i-0") == "AccessDenied"
    trust = TRUST_EC2.replace("ec2.amazonaws.com", "lambda.amazonaws.com")
    arn = site.iam.create_role(RoleName="function", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    assert error_code(sts.assume_role, RoleArn=arn, RoleSessionName="i-0") == "AccessDenied"


def test_a_request_that_curl_signs_is_accepted(api: str, credentials: dict[str, str], site: Site) -> None:
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
    result = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["Parameter"]["Value"] == "a secret"
    # The same request, signed with another key than the session's.
    forged = "\n".join(lines).replace(signing.secret_key, hashlib.sha256(b"x").hexdigest())
    result = subprocess.run(command, input=forged, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["__type"] == "InvalidSignatureException"


def test_a_policy_managed_by_aws_grants_its_rights(api: str, site: Site) -> None:
    other = {"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}
    ssm = as_role(api, role_with(api, site, "reader", [other]), "ssm")
    site.ssm.put_parameter(Name="/managed/secret", Value="x", Type="String")
    assert error_code(ssm.get_parameter, Name="/managed/secret") == "AccessDeniedException"
    site.iam.attach_role_policy(RoleName="reader", PolicyArn="arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess")
    assert ssm.get_parameter(Name="/managed/secret")["Parameter"]["Value"] == "x"
