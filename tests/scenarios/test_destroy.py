"""`pulumi destroy` and `lab down` leave nothing, after everything that the other tests did. Runs last."""

import os
import subprocess

import pytest

from lab import daemons, network_faults, processes, settings, stack
from lab.api.client import client

pytestmark = [pytest.mark.brief, pytest.mark.timeout(1800), pytest.mark.usefixtures("running_stack")]

REGIONS = ("eu-west-2", "ap-southeast-2")


def test_destroy_leaves_nothing_in_the_api_and_down_leaves_nothing_on_the_machine() -> None:
    if os.environ.get("LAB_KEEP"):
        pytest.skip("the stack is to stay up (LAB_KEEP)")
    network_faults.heal()
    assert stack.destroy() == 0
    for region in REGIONS:
        ec2, ssm = client("ec2", region), client("ssm", region)
        assert ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"] == []
        assert ec2.describe_addresses()["Addresses"] == []
        assert ec2.describe_key_pairs()["KeyPairs"] == []
        assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
        assert ssm.describe_parameters()["Parameters"] == []
    iam = client("iam", REGIONS[0])
    assert iam.list_roles()["Roles"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    stack.forget()
    daemons.stop()
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert settings.NAMESPACE_PREFIX not in listed
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert "lab" not in links
    assert str(settings.RUN) not in open("/proc/mounts").read()  # noqa: SIM115 - a kernel file, read once
    assert processes.names() == []
    assert not settings.RUN.exists()
