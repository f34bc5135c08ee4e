"""An instance -> the tree of its metadata. Pure.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html#instancemetadata-data-categories
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lab import settings
from lab.network import names
from lab.world import Instance, NetworkInterface, Subnet, Vpc, World


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An instance and its place in the network."""

    instance: Instance
    vpc: Vpc
    subnet: Subnet
    interface: NetworkInterface
    """The primary one."""


def find(world: World, vpc_id: str, address: str) -> Subject | None:
    """Return the instance whose interface has a private address in a VPC, or None."""
    for vpc in world.vpcs:
        if vpc.id != vpc_id:
            continue
        owners = {str(interface.private_ip): interface.instance_id for interface in vpc.network_interfaces}
        for instance in world.instances:
            if instance.id == owners.get(address):
                return _subject(vpc, instance)
    return None


def metadata(subject: Subject) -> dict[str, str]:
    """Return the leaves below `meta-data/`: path -> text, without the role's credentials."""
    instance, interface = subject.instance, subject.interface
    hostname = private_name(subject)
    leaves = {
        "ami-id": instance.image_id,
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "block-device-mapping/ami": "/dev/xvda",
        "block-device-mapping/root": "/dev/xvda",
        "hostname": hostname,
        "instance-action": "none",
        "instance-id": instance.id,
        "instance-life-cycle": "on-demand",
        "instance-type": instance.instance_type,
        "local-hostname": hostname,
        "local-ipv4": str(interface.private_ip),
        "mac": interface.mac_address,
        "placement/availability-zone": subject.subnet.availability_zone,
        "placement/region": instance.region,
        "profile": "default-hvm",
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
        **_interface(subject),
    }
    if interface.public_ip:
        leaves["public-ipv4"] = str(interface.public_ip)
    if instance.ssh_public_key:
        leaves["public-keys/0/openssh-key"] = instance.ssh_public_key.strip() + "\n"
    return leaves


def identity_document(subject: Subject, *, pending_time: datetime) -> str:
    """Return the text of `dynamic/instance-identity/document`."""
    instance = subject.instance
    document = {
        "accountId": settings.ACCOUNT_ID,
        "architecture": "x86_64",
        "availabilityZone": subject.subnet.availability_zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "kernelId": None,
        "pendingTime": pending_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": str(subject.interface.private_ip),
        "ramdiskId": None,
        "region": instance.region,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def private_name(subject: Subject) -> str:
    """Return the instance's IP-based private DNS name."""
    return f"{short_name(subject)}.{names.private_domain(subject.instance.region)}"


def short_name(subject: Subject) -> str:
    """Return the host name that EC2 gives an instance, e.g. `ip-10-1-10-41`."""
    return f"ip-{str(subject.interface.private_ip).replace('.', '-')}"


def listing(leaves: Mapping[str, str], directory: str) -> str | None:
    """Return the names in `directory`, one a line and directories with a final `/`; None if there are none.

    `directory` is empty or ends in `/`. In `public-keys/` the names are `<index>=<name of the key pair>`, as on EC2.
    """
    below = [path[len(directory) :] for path in leaves if path.startswith(directory)]
    if directory == "public-keys/":
        return "\n".join(sorted({f"{path.split('/')[0]}=key" for path in below})) or None
    names_below = {head + slash for head, slash, _ in (path.partition("/") for path in below)}
    return "\n".join(sorted(names_below)) or None


def _interface(subject: Subject) -> dict[str, str]:
    interface = subject.interface
    directory = f"network/interfaces/macs/{interface.mac_address}/"
    cidr_blocks = [str(cidr_block) for cidr_block in subject.vpc.cidr_blocks]
    leaves = {
        "device-number": "0",
        "interface-id": interface.id,
        "local-hostname": private_name(subject),
        "local-ipv4s": str(interface.private_ip),
        "mac": interface.mac_address,
        "owner-id": settings.ACCOUNT_ID,
        "security-group-ids": "\n".join(interface.security_group_ids),
        "subnet-id": interface.subnet_id,
        "subnet-ipv4-cidr-block": str(subject.subnet.cidr_block),
        "vpc-id": subject.vpc.id,
        "vpc-ipv4-cidr-block": cidr_blocks[0],
        "vpc-ipv4-cidr-blocks": "\n".join(cidr_blocks),
    }
    if interface.public_ip:
        leaves["public-ipv4s"] = str(interface.public_ip)
        leaves[f"ipv4-associations/{interface.public_ip}"] = str(interface.private_ip)
    return {directory + name: value for name, value in leaves.items()}


def _subject(vpc: Vpc, instance: Instance) -> Subject | None:
    interfaces = {interface.id: interface for interface in vpc.network_interfaces}
    subnets = {subnet.id: subnet for subnet in vpc.subnets}
    interface = interfaces.get(instance.network_interface_id)
    if interface is None or interface.subnet_id not in subnets:
        return None
    return Subject(instance=instance, vpc=vpc, subnet=subnets[interface.subnet_id], interface=interface)
