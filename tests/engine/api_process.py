"""The lab's API in its own process, and queries of it."""

import json
import os
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import botocore.session


@dataclass(frozen=True)
class ApiProcess:
    """A running API."""

    url: str

    def client(self, service: str, region: str) -> Any:
        """Return a client of a service in a region."""
        return botocore.session.Session().create_client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the lab's administrator
        )

    def calls(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the recorded calls with a sequence number above `after`, oldest first."""
        with urllib.request.urlopen(f"{self.url}/_lab/calls?after={after}") as answer:  # noqa: S310 - our own server
            calls: list[dict[str, Any]] = json.load(answer)
        return calls

    def add_fault(self, **fields: str) -> None:
        """Add an API fault; see lab.api.api_faults.ApiFault."""
        url = f"{self.url}/_lab/faults?{urllib.parse.urlencode(fields)}"
        urllib.request.urlopen(urllib.request.Request(url, method="POST")).close()  # noqa: S310 - our own server

    def faults(self) -> list[dict[str, Any]]:
        """Return the pending API faults."""
        with urllib.request.urlopen(f"{self.url}/_lab/faults") as answer:  # noqa: S310 - our own server
            faults: list[dict[str, Any]] = json.load(answer)
        return faults

    def left_over(self, region: str) -> list[str]:
        """Return the ids of resources in one region and in IAM that a destroyed stack must not leave."""
        ec2, iam, ssm, cloudwatch = (self.client(service, region) for service in ("ec2", "iam", "ssm", "cloudwatch"))
        instances = [each for one in ec2.describe_instances()["Reservations"] for each in one["Instances"]]
        return [
            *(each["VpcId"] for each in ec2.describe_vpcs()["Vpcs"] if not each["IsDefault"]),
            *(each["AllocationId"] for each in ec2.describe_addresses()["Addresses"]),
            *(each["NetworkInterfaceId"] for each in ec2.describe_network_interfaces()["NetworkInterfaces"]),
            *(each["InternetGatewayId"] for each in _not_of_default_vpcs(ec2)),
            *(each["InstanceId"] for each in instances if each["State"]["Name"] != "terminated"),
            *(each["VolumeId"] for each in ec2.describe_volumes()["Volumes"]),
            *(each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]),
            *(each["RoleName"] for each in iam.list_roles()["Roles"]),
            *(each["InstanceProfileName"] for each in iam.list_instance_profiles()["InstanceProfiles"]),
            *(each["Name"] for each in ssm.describe_parameters()["Parameters"]),
            *(each["AlarmName"] for each in cloudwatch.describe_alarms()["MetricAlarms"]),
            *(each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]),
        ]


def _not_of_default_vpcs(ec2: Any) -> Iterator[dict[str, Any]]:
    default = {each["VpcId"] for each in ec2.describe_vpcs()["Vpcs"] if each["IsDefault"]}
    for gateway in ec2.describe_internet_gateways()["InternetGateways"]:
        if not default & {each["VpcId"] for each in gateway["Attachments"]}:
            yield gateway


@contextmanager
def running_api() -> Iterator[ApiProcess]:
    """Run the API on a free port. Its instances change their state in a tenth of a second."""
    server = subprocess.Popen(
        [sys.executable, "-m", "lab.api", "--port", "0"],
        env={**os.environ, "LAB_API_TRANSITION_SECONDS": "0.1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1]
    # The API prints a line for every call, and would block when the pipe is full.
    reader = threading.Thread(target=server.stdout.read, daemon=True)
    reader.start()
    try:
        yield ApiProcess(url)
    finally:
        server.terminate()
        server.wait(timeout=600)
        reader.join()
        server.stdout.close()
