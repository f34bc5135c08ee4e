"""The image and the zones of a pair: chosen once and kept, checked, and refused when they do not fit.

Does not prove what AWS answers (tests/engine/test_images.py).
"""

from typing import Any

import pulumi
import pytest

from components import SettingsError
from tests.unit.recording import Deployment, Recorder, deploy_pair

AMI = "ami-0123456789abcdef0"


def test_the_image_is_kept_until_the_setting_or_the_region_changes(article_pair: Recorder) -> None:
    stash = article_pair.named("vpn-uk-image")
    assert stash.request.replacement_trigger.string_value == "debian-13 amd64 eu-west-2"
    assert article_pair.named("vpn-uk-gateway").inputs["ami"] == "ami-of-debian-13-amd64"


def test_a_graviton_type_boots_an_arm64_image_and_an_ami_is_looked_up_and_kept(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    left = {**article["left"], "instance_type": "t4g.nano"}
    right = {**article["right"], "image": AMI, "root_volume_size": 20}
    deployment.recorder.cloud.images[AMI] = ("x86_64", 20)
    recorder = deploy_pair(deployment, article, left=left, right=right)
    assert recorder.named("vpn-uk-gateway").inputs["ami"] == "ami-of-debian-13-arm64"
    for host in ("vpn-au-gateway", "vpn-au-probe-host"):
        inputs = recorder.named(host).inputs
        assert (inputs["ami"], inputs["rootBlockDevice"]["volumeSize"]) == (AMI, 20)
    assert recorder.named("vpn-au-image").request.replacement_trigger.string_value == f"{AMI} amd64 ap-southeast-2"
    asked = [call.args for call in recorder.cloud.calls if "getAmi" in call.token]
    assert all(each["includeDeprecated"] for each in asked)
    assert [each["filters"][0]["values"] for each in asked if "owners" not in each] == [[AMI]]


def test_an_ami_that_does_not_fit_is_refused(deployment: Deployment, article: dict[str, Any]) -> None:
    deployment.recorder.cloud.images[AMI] = ("arm64", 20)
    with pytest.raises(SettingsError) as refused:
        deploy_pair(deployment, article, left={**article["left"], "image": AMI})
    assert [str(problem) for problem in refused.value.problems] == [
        f"image '{AMI}': is for arm64, and `instance_type` t3.nano is x86_64; give an AMI for x86_64, or another "
        "`instance_type`",
        f"root_volume_size '8': is less than the 20 GiB of the root volume of {AMI}; set it to 20 or more",
    ]


def _not_found(_: Any) -> Any:
    failure = "invocation of aws:ec2/getAmi:getAmi returned an error: 1 error occurred:\n\t* no results"
    return {}, [("", failure)]


def test_what_is_gone_is_warned_about_where_it_is_kept(deployment: Deployment, article: dict[str, Any]) -> None:
    deployment.recorder.cloud.answers["aws:ec2/getAmi:getAmi"] = _not_found
    warnings: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
        recorder = deploy_pair(
            deployment,
            article,
            left={**article["left"], "image": AMI},
            right={**article["right"], "image": AMI},
        )
    assert recorder.named("vpn-uk-gateway").inputs["ami"] == AMI
    assert sorted(warnings) == [
        f"image '{AMI}': is not found: no results (); use debian-13, debian-12, or the id of an AMI that this account "
        f"sees in this region. {side}-gateway runs {AMI} and goes on. Another instance cannot be made of it."
        for side in ("au", "uk")
    ]


def test_all_subnets_are_in_the_first_zone_that_offers_the_instance_type_and_it_is_kept(
    article_pair: Recorder,
) -> None:
    zone = article_pair.named("vpn-uk-zone")
    assert zone.inputs == {"input": "eu-west-2a"}
    assert zone.request.replacement_trigger.string_value == "eu-west-2"
    subnets = [each.inputs for each in article_pair.of_type("aws:ec2/subnet:Subnet") if "uk" in each.name]
    assert [each["availabilityZone"] for each in subnets] == ["eu-west-2a"] * 2


@pytest.mark.parametrize(
    ("zones", "subnet", "told"),
    [
        (["eu-west-2a"], "10.1.10.0/24", None),
        (["eu-west-2d"], "10.1.10.0/24", "eu-west-2d"),
        (["eu-west-2a", "eu-west-2d"], "10.1.10.0/24", None),
        # The probe host's counts, those of other hosts do not.
        (["eu-west-2a", "eu-west-2d"], "10.1.11.0/24", "eu-west-2d"),
    ],
)
def test_a_zone_that_does_not_offer_the_instance_type_is_refused(
    deployment: Deployment, article: dict[str, Any], zones: list[str], subnet: str, told: str | None
) -> None:
    left = {
        **article["left"],
        "availability_zones": zones,
        "private_subnet_cidr_blocks": ["10.1.10.0/24", "10.1.11.0/24"],
    }
    left["probe_host_private_ip"] = subnet.replace("0/24", "41")
    if told is None:
        recorder = deploy_pair(deployment, article, left=left)
        assert "vpn-uk-zone" not in {each.name for each in recorder.registrations}
        return
    with pytest.raises(SettingsError) as refused:
        deploy_pair(deployment, article, left=left)
    assert [str(problem) for problem in refused.value.problems] == [
        f"instance_type 't3.nano': is not offered in {told}, where the site's subnets are; use another one, or subnets "
        "in eu-west-2a or eu-west-2b or eu-west-2c"
    ]


def test_several_private_subnets_share_the_way_out_and_take_the_zones_in_turn(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    left = {
        **article["left"],
        "private_subnet_cidr_blocks": ["10.1.10.0/24", "10.1.11.0/24", "10.1.12.0/24"],
        "availability_zones": ["eu-west-2a", "eu-west-2b"],
        "probe_host_private_ip": "10.1.11.9",
    }
    recorder = deploy_pair(deployment, article, left=left)
    zones = {
        each.inputs["cidrBlock"]: each.inputs["availabilityZone"]
        for each in recorder.of_type("aws:ec2/subnet:Subnet")
        if "uk" in each.name
    }
    assert zones == {
        "10.1.1.0/24": "eu-west-2a",
        "10.1.10.0/24": "eu-west-2a",
        "10.1.11.0/24": "eu-west-2b",
        "10.1.12.0/24": "eu-west-2a",
    }
    assert recorder.named("vpn-uk-probe-host").inputs["subnetId"] == "vpn-uk-private-subnet-10.1.11.0-24-id"
    assert recorder.outputs["vpn-uk"]["private_subnet_ids"] == [
        f"vpn-uk-private-subnet-10.1.{number}.0-24-id" for number in (10, 11, 12)
    ]
