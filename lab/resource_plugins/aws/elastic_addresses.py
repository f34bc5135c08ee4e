"""Elastic IP addresses, and their associations with instances and network interfaces."""

from typing import Any

from lab.resource_plugins.aws.common import (
    CHOSEN,
    FIXED,
    FIXED_CHOSEN,
    ec2,
    ec2_resource,
    filters,
    first,
    ignoring_errors,
    region_of,
    regional,
    retry,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_ADDRESS_GONE = ("InvalidAllocationID.NotFound", "InvalidAddress.NotFound", "InvalidAddressID.NotFound")
_ASSOCIATION_GONE = ("InvalidAssociationID.NotFound",)


def _address(api: Any, allocation_id: str) -> Properties | None:
    return first(api.describe_addresses, "Addresses", _ADDRESS_GONE, AllocationIds=[allocation_id])


def _create_address(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    optional = {
        "Address": inputs.get("address"),
        "NetworkBorderGroup": inputs.get("networkBorderGroup"),
        "PublicIpv4Pool": inputs.get("publicIpv4Pool"),
    }
    allocation = api.allocate_address(
        Domain=inputs.get("domain", "vpc"),
        **{name: value for name, value in optional.items() if value},
        **tag_specifications("elastic-ip", inputs.get("tags")),
    )
    allocation_id = call.created(allocation["AllocationId"])
    call.wait_until(f"Elastic IP address {allocation_id}", lambda: _address(api, allocation_id))
    _associate_as_declared(call, api, allocation_id, inputs)
    return allocation_id


def _associate_as_declared(call: Call, api: Any, allocation_id: str, inputs: Properties) -> None:
    place = {
        "InstanceId": inputs.get("instance"),
        "NetworkInterfaceId": inputs.get("networkInterface"),
        "PrivateIpAddress": inputs.get("associateWithPrivateIp"),
    }
    if place["InstanceId"] or place["NetworkInterfaceId"]:
        _associate(call, api, AllocationId=allocation_id, **{name: value for name, value in place.items() if value})


def _associate(call: Call, api: Any, **arguments: Any) -> str:
    # AWS refuses an instance that does not run yet.
    association = retry(
        call,
        f"association of {arguments.get('AllocationId') or arguments.get('PublicIp')}",
        lambda: api.associate_address(**arguments),
        {"InvalidInstanceID", "IncorrectInstanceState", "InvalidAllocationID.NotFound"},
    )
    return str(association["AssociationId"])


def _read_address(call: Call, allocation_id: str, state: Properties) -> Properties | None:
    api, session, region = ec2(call, state), session_of(call), region_of(call, state)
    address = _address(api, allocation_id)
    if address is None:
        return None
    private = address.get("PrivateIpAddress", "")
    return {
        "allocationId": allocation_id,
        "arn": session.arn("ec2", f"elastic-ip/{allocation_id}", region=region),
        "associationId": address.get("AssociationId", ""),
        "domain": address["Domain"],
        "instance": address.get("InstanceId", ""),
        "networkBorderGroup": address.get("NetworkBorderGroup") or region,
        "networkInterface": address.get("NetworkInterfaceId", ""),
        "publicIpv4Pool": address.get("PublicIpv4Pool") or "amazon",
        "publicIp": address["PublicIp"],
        "publicDns": dns_name("ec2", address["PublicIp"], region, "compute.amazonaws.com"),
        "privateIp": private,
        "privateDns": dns_name("ip", private, region, "compute.internal") if private else None,
        "carrierIp": address.get("CarrierIp", ""),
        "customerOwnedIp": address.get("CustomerOwnedIp", ""),
        "ptrRecord": _reverse_name(api, allocation_id),
        **tags_read(call, address.get("Tags")),
    }


def dns_name(prefix: str, address: str, region: str, suffix: str) -> str:
    """Return the DNS name that AWS gives an address, e.g. `ec2-203-0-113-1.eu-west-2.compute.amazonaws.com`."""
    return f"{prefix}-{address.replace('.', '-')}.{region}.{suffix}"


def _reverse_name(api: Any, allocation_id: str) -> str:
    attribute = first(
        api.describe_addresses_attribute,
        "Addresses",
        _ADDRESS_GONE,
        AllocationIds=[allocation_id],
        Attribute="domain-name",
    )
    return (attribute or {}).get("PtrRecord") or ""


def _update_address(call: Call, allocation_id: str, state: Properties, inputs: Properties, _: frozenset[str]) -> None:
    api = ec2(call, state)
    _disassociate(api, state.get("associationId"))
    _associate_as_declared(call, api, allocation_id, inputs)


def _disassociate(api: Any, association_id: str | None) -> None:
    if association_id:
        with ignoring_errors(*_ASSOCIATION_GONE):
            api.disassociate_address(AssociationId=association_id)


def _delete_address(call: Call, allocation_id: str, state: Properties) -> None:
    api = ec2(call, state)
    _disassociate(api, state.get("associationId"))
    with ignoring_errors(*_ADDRESS_GONE):
        what = f"release of {allocation_id}"
        retry(call, what, lambda: api.release_address(AllocationId=allocation_id), {"InvalidIPAddress.InUse"})


EIP = ec2_resource(
    Resource(
        "aws:ec2/eip:Eip",
        {
            "domain": FIXED_CHOSEN,
            "address": FIXED,
            "publicIpv4Pool": FIXED_CHOSEN,
            "networkBorderGroup": FIXED_CHOSEN,
            "instance": CHOSEN,
            "networkInterface": CHOSEN,
            "associateWithPrivateIp": Input(),
        },
        _create_address,
        _read_address,
        _update_address,
        _delete_address,
        outputs=(
            "allocationId", "arn", "associationId", "carrierIp", "customerOwnedIp", "privateDns", "privateIp",
            "ptrRecord", "publicDns", "publicIp",
        ),
        moved_by=dict.fromkeys(("associationId", "privateDns", "privateIp"), ("instance", "networkInterface")),
        timeout=300,
    )
)  # fmt: skip


def _create_association(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    names = {
        "allocationId": "AllocationId",
        "allowReassociation": "AllowReassociation",
        "instanceId": "InstanceId",
        "networkInterfaceId": "NetworkInterfaceId",
        "privateIpAddress": "PrivateIpAddress",
        "publicIp": "PublicIp",
    }
    association_id = _associate(call, api, **{name: inputs[key] for key, name in names.items() if inputs.get(key)})
    call.created(association_id)
    call.wait_until(f"address association {association_id}", lambda: _associated(api, association_id))
    return association_id


def _associated(api: Any, association_id: str) -> Properties | None:
    gone = (*_ASSOCIATION_GONE, *_ADDRESS_GONE)
    return first(api.describe_addresses, "Addresses", gone, Filters=filters(association_id=association_id))


def _read_association(call: Call, association_id: str, state: Properties) -> Properties | None:
    address = _associated(ec2(call, state), association_id)
    if address is None:
        return None
    return {
        "allocationId": address["AllocationId"],
        "instanceId": address.get("InstanceId", ""),
        "networkInterfaceId": address.get("NetworkInterfaceId", ""),
        "privateIpAddress": address.get("PrivateIpAddress", ""),
        "publicIp": address["PublicIp"],
    }


def _delete_association(call: Call, association_id: str, state: Properties) -> None:
    _disassociate(ec2(call, state), association_id)


EIP_ASSOCIATION = regional(
    Resource(
        "aws:ec2/eipAssociation:EipAssociation",
        {
            "allocationId": FIXED_CHOSEN,
            "allowReassociation": FIXED,
            "instanceId": FIXED_CHOSEN,
            "networkInterfaceId": FIXED_CHOSEN,
            "privateIpAddress": FIXED_CHOSEN,
            "publicIp": FIXED_CHOSEN,
        },
        _create_association,
        _read_association,
        delete=_delete_association,
        timeout=300,
    )
)

RESOURCES = (EIP, EIP_ASSOCIATION)
