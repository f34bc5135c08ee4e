"""Proves what a side takes from its account: key, permissions boundary, partition, processor of its instance type."""

import json
from typing import Any

import pulumi
import pytest
from moto.ec2.models.instance_types import INSTANCE_TYPES

from components import SecretDelivery, SettingsError, VpnGatewayPair
from components.inputs.settings import pair_settings
from components.resources.images import architecture
from tests.unit.recording import Deployment, Recorder

KEY = "arn:aws:kms:eu-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
INSTANCE = "aws:ec2/instance:Instance"
PARAMETER = "aws:ssm/parameter:Parameter"


def _pair(deployment: Deployment, article: dict[str, Any], left: dict[str, Any], **changes: Any) -> Recorder:
    args: Any = {**article, **changes, "left": {**article["left"], **left}}
    return deployment.run(lambda: VpnGatewayPair("vpn", args))


def _of(recorder: Recorder, token: str, side: str) -> list[dict[str, Any]]:
    return [each.inputs for each in recorder.of_type(token) if each.name.startswith(f"vpn-{side}-")]


@pytest.mark.parametrize("key", [KEY, "output"])
def test_an_own_key_encrypts_parameters_and_volumes_of_its_side(
    deployment: Deployment, article: dict[str, Any], key: str
) -> None:
    recorder = _pair(deployment, article, {"kms_key_arn": KEY if key == KEY else pulumi.Output.from_input(KEY)})
    assert [each["keyId"] for each in _of(recorder, PARAMETER, "uk")] == [KEY] * 3
    assert [each["rootBlockDevice"]["kmsKeyId"] for each in _of(recorder, INSTANCE, "uk")] == [KEY, KEY]
    # Named, so that a key that is taken away again is a change.
    assert [each["keyId"] for each in _of(recorder, PARAMETER, "au")] == ["alias/aws/ssm"] * 3
    assert not any("kmsKeyId" in each["rootBlockDevice"] for each in _of(recorder, INSTANCE, "au"))


def test_the_role_decrypts_with_exactly_that_key_exactly_its_parameters(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = _pair(deployment, article, {"kms_key_arn": KEY})
    read, _, decrypt = json.loads(recorder.named("vpn-uk-role-policy").inputs["policy"])["Statement"]
    assert read["Action"] == "ssm:GetParameter"
    assert decrypt == {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": KEY,
        "Condition": {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": read["Resource"]}},
    }
    assert len(read["Resource"]) == 3
    assert len(json.loads(recorder.named("vpn-au-role-policy").inputs["policy"])["Statement"]) == 2


def test_a_boundary_bounds_the_role_of_its_side(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = _pair(deployment, article, {"permissions_boundary_arn": BOUNDARY})
    assert recorder.named("vpn-uk-role").inputs["permissionsBoundary"] == BOUNDARY
    assert "permissionsBoundary" not in recorder.named("vpn-au-role").inputs


def test_an_own_key_encrypts_the_volumes_without_ssm_too(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = _pair(deployment, article, {"kms_key_arn": KEY}, secret_delivery=SecretDelivery.USER_DATA)
    assert [each["rootBlockDevice"]["kmsKeyId"] for each in _of(recorder, INSTANCE, "uk")] == [KEY, KEY]


def test_everything_that_takes_tags_has_them_root_volumes_too(article_pair: Recorder) -> None:
    untagged = {"EipAssociation", "Route", "RouteTableAssociation", "RolePolicy"}
    for each in article_pair.registrations:
        if each.type.startswith("aws:"):
            kind = each.type.rpartition(":")[2]
            assert ("tags" in each.inputs) is (kind not in untagged), each.name
            assert kind in untagged or each.inputs["tags"]["owner"] == "network"
    for instance in article_pair.of_type(INSTANCE):
        assert instance.inputs["volumeTags"].keys() == {"Name", "owner"}


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ({"kms_key_arn": "alias/own"}, "left.kms_key_arn 'alias/own': does not match"),
        ({"kms_key_arn": KEY.replace("eu-west-2", "eu-west-1")}, "left.kms_key_arn 'arn:aws:kms:eu-west-1:"),
        ({"permissions_boundary_arn": "boundary"}, "left.permissions_boundary_arn 'boundary': does not match"),
        ({"region": "cn-north-1"}, "left.image 'debian-13': is not found in cn-north-1: the Debian project's account"),
        ({"region": "us-gov-west-1", "image": "debian-12"}, "left.image 'debian-12': is not found in us-gov-west-1"),
    ],
)
def test_what_an_account_or_partition_cannot_give_is_named(
    article: dict[str, Any], left: dict[str, Any], expected: str
) -> None:
    args: Any = {**article, "left": {**article["left"], **left}}
    with pytest.raises(SettingsError) as caught:
        pair_settings("vpn", args)
    (problem,) = caught.value.problems
    assert str(problem).startswith(expected)


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_with_an_image_of_its_own_a_side_may_be_in_any_partition(article: dict[str, Any], region: str) -> None:
    args: Any = {**article, "left": {**article["left"], "region": region, "image": "ami-0123456789abcdef0"}}
    assert pair_settings("vpn", args).left_placement.region == region


def test_every_instance_type_that_aws_has_is_told_by_its_name() -> None:
    """Against AWS's own answers to DescribeInstanceTypes, as moto has them."""
    told = {
        name: each["ProcessorInfo"]["SupportedArchitectures"]
        for name, each in INSTANCE_TYPES.items()
        # A Mac is bought as a host, and runs no Debian.
        if not name.startswith("mac")
    }
    assert len(told) > 1000
    wrong = [name for name, known in told.items() if (architecture(name) == "arm64") is not ("arm64" in known)]
    assert wrong == []
