"""Images that do not fit or no longer exist, with the real engine and the lab's API, without machines.

Proves that such an image is refused before a running gateway is deleted, and that a gateway whose image is gone runs on
until a change would replace it. Does not prove that an image boots. There is nothing to clean up.
"""

from pathlib import Path

import pytest

from tests.engine.api_process import running_api
from tests.engine.program_stack import ProgramStack

pytestmark = [pytest.mark.engine, pytest.mark.whole]

LEFT, RIGHT = "eu-west-2", "ap-southeast-2"
MISSING = "ami-0123456789abcdef0"


def instances(stack: ProgramStack) -> dict[str, str]:
    return {name: each for name, each in stack.ids().items() if each.startswith("i-")}


def test_an_image_is_checked_before_an_instance_is_deleted(engine_environment: dict[str, str], tmp_path: Path) -> None:
    with running_api() as api:
        stack = ProgramStack(tmp_path / "stack", api).make(engine_environment)

        def set_(**settings: object) -> None:
            for key, value in settings.items():
                stack.cli("config", "set", key, str(value))

        stack.up()
        ec2 = api.client("ec2", LEFT)
        (debian,) = {
            each["outputs"]["ami"]
            for each in stack.deployment()["resources"]
            if each["urn"].endswith("::vpn-uk-gateway")
        }
        own = ec2.copy_image(Name="own", SourceRegion=LEFT, SourceImageId=debian)["ImageId"]
        first = instances(stack)

        set_(leftImage=own)
        too_small = f"root_volume_size '8': is less than the 15 GiB of the root volume of {own}; set it to 15 or more"
        assert too_small in stack.run("preview", code=1).output
        assert too_small in stack.up(code=1).output
        set_(leftRootVolumeSize=15, leftInstanceType="t4g.nano")
        other_processor = f"image '{own}': is for x86_64, and `instance_type` t4g.nano is arm64; give an AMI for arm64"
        assert other_processor in stack.run("preview", code=1).output
        set_(leftImage=MISSING, leftInstanceType="t3.nano")
        missing = f"image '{MISSING}': is not found: "
        assert missing in stack.run("preview", code=1).output
        assert missing in stack.up(code=1).output
        assert instances(stack) == first

        set_(leftImage=own)
        changed = stack.up().operations
        assert {name for name, operation in changed.items() if "replace" in operation or "delete" in operation} == {
            "vpn-uk-gateway",
            "vpn-uk-probe-host",
        }
        second = instances(stack)

        ec2.deregister_image(ImageId=own)
        other = api.client("ec2", RIGHT)
        for image in other.describe_images(Filters=[{"Name": "name", "Values": ["debian-13-*"]}])["Images"]:
            other.deregister_image(ImageId=image["ImageId"])
        previewed = stack.run("preview")
        assert previewed.operations == {}
        assert f"uk-gateway runs {own} and goes on. Another instance cannot be made of it." in previewed.output
        assert "image 'debian-13': is not found: " in previewed.output
        set_(leftInstanceType="t3.micro")
        assert set(stack.run("preview").operations.values()) == {"update"}
        set_(leftInstanceType="t3.nano")
        stack.cli("config", "set", "--secret", "psk", "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip")
        # The engine reports either side first.
        assert "-gateway-refused\" failed: image 'ami-" in stack.run("preview", code=1).output
        assert instances(stack) == second
        answer = ec2.describe_instances(InstanceIds=[each for name, each in second.items() if "-uk-" in name])
        assert {each["State"]["Name"] for one in answer["Reservations"] for each in one["Instances"]} == {"running"}

        stack.destroy()
        assert [*api.left_over(LEFT), *api.left_over(RIGHT)] == []
