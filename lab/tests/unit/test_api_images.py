"""Debian's images and public parameters, key pairs, instance types: what a program looks up before it launches."""

import re
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lab.api.client import client
from lab.tests.unit.api_stack import error_code

REGIONS = ("eu-west-2", "ap-southeast-2")


def debian_images(api: str, region: str, release: int) -> list[Any]:
    filters: Any = [
        {"Name": "name", "Values": [f"debian-{release}-amd64-*"]},
        {"Name": "architecture", "Values": ["x86_64"]},
        {"Name": "virtualization-type", "Values": ["hvm"]},
        {"Name": "root-device-type", "Values": ["ebs"]},
    ]
    images = client("ec2", region, api).describe_images(Owners=["136693071363"], Filters=filters)["Images"]
    return sorted(images, key=lambda image: image["CreationDate"])


@pytest.mark.parametrize("release", [12, 13])
@pytest.mark.parametrize("region", REGIONS)
def test_the_public_parameter_names_the_newest_image(api: str, region: str, release: int) -> None:
    images = debian_images(api, region, release)
    assert len(images) > 1, "with one image, most_recent would make no difference"
    name = f"/aws/service/debian/release/{release}/latest/amd64"
    assert client("ssm", region, api).get_parameter(Name=name)["Parameter"]["Value"] == images[-1]["ImageId"]


def test_images_have_the_properties_of_debians_images(api: str) -> None:
    image = debian_images(api, "eu-west-2", 13)[-1]
    assert re.fullmatch(r"debian-13-amd64-\d{8}-\d{4}", image["Name"])
    assert re.fullmatch(r"ami-0[0-9a-f]{16}", image["ImageId"])
    expected = {
        "OwnerId": "136693071363",
        "RootDeviceName": "/dev/xvda",
        "EnaSupport": True,
        "BootMode": "uefi-preferred",
        "Public": True,
        "State": "available",
        "Architecture": "x86_64",
    }
    assert {key: image[key] for key in expected} == expected
    [mapping] = image["BlockDeviceMappings"]
    assert (mapping["DeviceName"], mapping["Ebs"]["VolumeSize"]) == ("/dev/xvda", 8)


def test_image_ids_differ_between_regions(api: str) -> None:
    ids = [{image["ImageId"] for image in debian_images(api, region, 13)} for region in REGIONS]
    assert not ids[0] & ids[1]


def test_parameters_are_found_by_codename_and_path(api: str) -> None:
    ssm = client("ssm", "eu-west-2", api)
    by_codename = ssm.get_parameter(Name="/aws/service/debian/release/trixie/latest/amd64")["Parameter"]
    assert by_codename["DataType"] == "aws:ec2:image"
    by_path: Any = ssm.get_parameters_by_path(Path="/aws/service/debian/release/13", Recursive=True)["Parameters"]
    assert by_codename["Value"] in {parameter["Value"] for parameter in by_path}


def test_an_ed25519_key_is_imported(api: str) -> None:
    ec2 = client("ec2", "eu-west-2", api)
    key = Ed25519PrivateKey.generate().public_key()
    line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    imported = ec2.import_key_pair(KeyName="admin", PublicKeyMaterial=line + b" admin@example")
    [described] = ec2.describe_key_pairs(KeyNames=["admin"], IncludePublicKey=True)["KeyPairs"]
    assert (described["KeyType"], described["KeyPairId"]) == ("ed25519", imported["KeyPairId"])
    assert described["PublicKey"].split()[:2] == line.decode().split()
    duplicate = {"KeyName": "admin", "PublicKeyMaterial": line}
    assert error_code(ec2.import_key_pair, **duplicate) == "InvalidKeyPair.Duplicate"
    assert error_code(ec2.import_key_pair, KeyName="bad", PublicKeyMaterial=b"no key") == "InvalidKey.Format"
    ec2.delete_key_pair(KeyName="admin")
    assert error_code(ec2.describe_key_pairs, KeyNames=["admin"]) == "InvalidKeyPair.NotFound"


def test_reserved_parameter_names_are_refused(api: str) -> None:
    put = client("ssm", "eu-west-2", api).put_parameter
    name = "/aws/service/debian/release/13/latest/amd64"
    assert error_code(put, Name=name, Value="x", Type="String") == "AccessDeniedException"


def test_instance_types_are_described(api: str) -> None:
    ec2 = client("ec2", "ap-southeast-2", api)
    [instance_type] = ec2.describe_instance_types(InstanceTypes=["t3.nano"])["InstanceTypes"]
    assert instance_type["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
