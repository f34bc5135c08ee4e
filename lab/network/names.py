"""The names of namespaces, interfaces, processes and routing tables. Pure: the same id always has the same name."""

import hashlib

from lab import settings

UPLINK = "uplink"
"""The interface of a VPC's namespace towards the Internet."""

HOST_INTERFACE = "ens5"
"""The first interface of an instance, as on Nitro."""

PROCESS_PREFIX = "network-"
"""The start of the recorded name of every process of the network."""

# IFNAMSIZ - 1: longest name of a Linux interface.
_INTERFACE_NAME_LENGTH = 15


def vpc_namespace(vpc_id: str) -> str:
    """Return the namespace that is the VPC's router; the VPC's virtual machines run in it."""
    return f"{settings.NAMESPACE_PREFIX}{vpc_id}"


def host_namespace(instance_id: str) -> str:
    """Return the namespace that is an instance without user data."""
    return f"{settings.NAMESPACE_PREFIX}{instance_id}"


def tap(eni_id: str) -> str:
    """Return the VPC namespace's interface towards an ENI: a tap (virtual machine) or a veth (namespace)."""
    return _interface("tap", eni_id)


def uplink(vpc_id: str) -> str:
    """Return the Internet namespace's interface towards a VPC."""
    return _interface("vpc", vpc_id)


def administrator_link() -> str:
    """Return the root namespace's interface towards the lab's Internet."""
    return f"{settings.NAMESPACE_PREFIX}admin"[:_INTERFACE_NAME_LENGTH]


def dnsmasq_process(namespace: str) -> str:
    """Return the name under which the DHCP and DNS server in a VPC's namespace is recorded in `lab.processes`."""
    return f"{PROCESS_PREFIX}{namespace}"


def routing_table(route_table_id: str) -> int:
    """Return the kernel's number for a route table, taken from the hash of its id.

    It is between 0x40000000 and 0x7fffffff, so it never is one of the kernel's own tables (0, 253..255), and no record
    of assigned numbers is needed.
    """
    return 0x40000000 | int.from_bytes(hashlib.sha256(route_table_id.encode()).digest()[:4]) >> 2


def private_domain(region: str) -> str:
    """Return the domain of private DNS names (EC2 user guide: us-east-1 is the exception)."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def _interface(kind: str, resource_id: str) -> str:
    # AWS ids end in 17 hex digits; the last 12 are unique enough on one machine.
    return kind + resource_id.rpartition("-")[2][-(_INTERFACE_NAME_LENGTH - len(kind)) :]
