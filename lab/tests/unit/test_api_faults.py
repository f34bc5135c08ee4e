"""API faults: calls that the API refuses or delays on demand."""

import urllib.error
import urllib.request

import pytest

from lab.api.client import client
from lab.tests.unit.api_stack import Site, error_code, lab_path, uk

REGION = "eu-west-2"


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    return uk(api)


def add_api_fault(api: str, query: str) -> None:
    # The test's own server.
    urllib.request.urlopen(urllib.request.Request(f"{api}/_lab/faults?{query}", method="POST")).close()  # noqa: S310


def test_an_api_fault_refuses_as_many_calls_in_its_region_as_requested(api: str, site: Site) -> None:
    add_api_fault(api, f"action=CreateVpc&region={REGION}&code=VpcLimitExceeded&times=2")
    other_region = client("ec2", "ap-southeast-2", api)
    assert other_region.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]
    for left in (1, 0):
        assert error_code(site.ec2.create_vpc, CidrBlock="10.60.0.0/16") == "VpcLimitExceeded"
        assert sum(fault["times"] for fault in lab_path(api, "/_lab/faults")) == left
    assert site.ec2.create_vpc(CidrBlock="10.60.0.0/16")["Vpc"]["VpcId"]


def test_an_api_fault_without_an_error_code_only_delays_the_call(api: str, site: Site) -> None:
    add_api_fault(api, "action=DescribeVpcs&code=&seconds=0.3")
    assert site.ec2.describe_vpcs()["Vpcs"]
    call = lab_path(api, "/_lab/calls")[-1]
    assert (call["action"], call["duration_ms"] > 300) == ("DescribeVpcs", True)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("region=eu-west-2", "needs an action"),
        ("action=RunInstances&when=now", "has no field when"),
        ("action=RunInstances&times=often", "must be numbers"),
    ],
)
def test_an_api_fault_with_wrong_fields_is_refused(api: str, query: str, message: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        add_api_fault(api, query)
    assert caught.value.code == 400
    assert message in caught.value.read().decode()
    assert lab_path(api, "/_lab/faults") == []


def test_a_refused_launch_leaves_nothing_behind(api: str, site: Site) -> None:
    before = len(site.ec2.describe_instances()["Reservations"])
    add_api_fault(api, "action=RunInstances")
    launch = {"ImageId": site.image_id, "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1}
    assert error_code(site.ec2.run_instances, **launch) == "UnauthorizedOperation"
    assert len(site.ec2.describe_instances()["Reservations"]) == before
