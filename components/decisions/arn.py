"""What an ARN tells: `arn:PARTITION:SERVICE:REGION:ACCOUNT:…` (AWS General Reference, "Amazon Resource Names")."""

from typing import Final

_DNS_SUFFIXES: Final = {"aws-cn": "amazonaws.com.cn"}
"""Partition -> DNS suffix of its services, where that is not amazonaws.com."""


def partition_of(arn: str) -> str:
    """Return the partition, e.g. `aws`."""
    return arn.split(":")[1]


def region_of(arn: str) -> str:
    """Return the region; empty for a resource without one, e.g. a role."""
    return arn.split(":")[3]


def dns_suffix(arn: str) -> str:
    """Return the end of the host names of the partition's services."""
    return _DNS_SUFFIXES.get(partition_of(arn), "amazonaws.com")


def service_host(service: str, arn: str) -> str:
    """Return the host name of a service in the region of a resource, e.g. `ssm.eu-west-2.amazonaws.com`."""
    return f"{service}.{region_of(arn)}.{dns_suffix(arn)}"
