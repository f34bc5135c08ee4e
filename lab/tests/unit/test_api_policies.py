"""Decisions on IAM policies."""

import json
from typing import Any

import pytest

from lab.api.policies import is_allowed, trusts

OWN = "arn:aws:ssm:eu-west-2:123456789012:parameter/vpn/uk/psk"
OWN_PROFILE = "arn:aws:iam::*:instance-profile/vpn-*"
CONTEXT = {
    "aws:requestedregion": "eu-west-2",
    "aws:sourceip": "203.0.113.10",
    "ec2:instanceprofile": "arn:aws:iam::123456789012:instance-profile/vpn-uk",
    "iam:permissionsboundary": None,
}


def allowed(*statements: dict[str, Any], action: str = "ssm:GetParameter", resource: str = OWN) -> bool:
    return is_allowed([json.dumps({"Statement": list(statements)})], action, resource, CONTEXT)


def allow(**parts: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": OWN, **parts}


def test_without_policies_nothing_is_allowed() -> None:
    assert not is_allowed([], "ssm:GetParameter", OWN, CONTEXT)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow(), True),
        (allow(Action="ssm:get*"), True),
        (allow(Action=["ec2:*", "ssm:GetParameter?"]), False),
        (allow(Resource=OWN.replace("uk", "*")), True),
        (allow(Resource=OWN + "/more"), False),
        (allow(Resource=OWN.upper()), False),
        (allow(NotAction="ec2:*", Action=None), True),
        ({"Effect": "Allow", "NotAction": "ssm:*", "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "*", "NotResource": OWN}, False),
        (allow(Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-2"}}), True),
        (allow(Condition={"StringEquals": {"aws:RequestedRegion": ["us-east-1"]}}), False),
        (allow(Condition={"StringLike": {"aws:RequestedRegion": "eu-*"}}), True),
        (allow(Condition={"StringNotLike": {"aws:RequestedRegion": "eu-*"}}), False),
        (allow(Condition={"Bool": {"aws:SecureTransport": "true"}}), False),
        (allow(Condition={"ArnLike": {"ec2:InstanceProfile": OWN_PROFILE}}), True),
        (allow(Condition={"ArnLikeIfExists": {"ec2:InstanceProfile": OWN_PROFILE}}), True),
        (allow(Condition={"ArnLikeIfExists": {"ec2:InstanceProfile": OWN_PROFILE.replace("vpn", "app")}}), False),
        # A key that the request lacks, and a key that the lab does not know.
        (allow(Condition={"ArnLike": {"iam:PermissionsBoundary": "*"}}), False),
        (allow(Condition={"ArnLikeIfExists": {"iam:PermissionsBoundary": OWN_PROFILE}}), True),
        (allow(Condition={"ArnNotLike": {"iam:PermissionsBoundary": "*"}}), True),
        (allow(Condition={"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}), False),
        (allow(Condition={"IpAddress": {"aws:SourceIp": "203.0.113.10/32"}}), True),
        (allow(Condition={"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]}}), True),
        (allow(Condition={"IpAddress": {"aws:SourceIp": "203.0.113.11/32"}}), False),
        (allow(Condition={"NotIpAddress": {"aws:SourceIp": "203.0.113.11/32"}}), True),
        (allow(Condition={"NotIpAddress": {"aws:SourceIp": "203.0.113.10"}}), False),
        (allow(Condition={"IpAddress": {"aws:VpcSourceIp": "10.1.1.254/32"}}), False),
    ],
)
def test_a_statement_allows_a_request_that_matches_all_of_its_parts(statement: dict[str, Any], expected: bool) -> None:
    statement = {key: value for key, value in statement.items() if value is not None}
    if "NotAction" in statement:
        statement.pop("Action", None)
    assert allowed(statement) is expected


@pytest.mark.parametrize(
    ("actions", "expected"),
    [([], True), (None, True), (["arn:aws:sns:x"], True), (["arn:aws:sns:x", "arn:aws:automate:x:ec2:stop"], False)],
)
def test_for_all_values_of_a_key_means_each_of_them(actions: list[str] | None, expected: bool) -> None:
    statement = allow(Condition={"ForAllValues:StringLike": {"cloudwatch:AlarmActions": ["arn:aws:sns:*"]}})
    context = {**CONTEXT, "cloudwatch:alarmactions": actions}
    assert is_allowed([json.dumps({"Statement": statement})], "ssm:GetParameter", OWN, context) is expected


def test_a_deny_wins_even_with_an_unknown_condition() -> None:
    assert not allowed(allow(), {"Effect": "Deny", "Action": "ssm:*", "Resource": "*"})
    unknown = {"Bool": {"aws:MultiFactorAuthPresent": "false"}}
    assert not allowed(allow(), {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": unknown})


def test_a_trust_policy_trusts_only_the_principals_that_it_names() -> None:
    statement = {"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com"]}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Statement": statement})
    assert trusts(document, "Service", ["ec2.amazonaws.com"])
    assert not trusts(document, "AWS", ["123456789012"])
