"""Network interfaces and elastic addresses."""

from typing import Any

from lab.resource_plugins.aws.kinds import (
    CHOSEN,
    FIXED,
    FIXED_CHOSEN,
    NEEDED,
    ec2,
    ec2_resource,
    filters,
    first,
    gone_is_fine,
    persistently,
    region_of,
    regional,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_INTERFACE_GONE = ("InvalidNetworkInterfaceID.NotFound",)
_ADDRESS_GONE = ("InvalidAllocationID.NotFound", "InvalidAddress.NotFound", "InvalidAddressID.NotFound")
_ASSOCIATION_GONE = ("InvalidAssociationID.NotFound",)


def interface(api: Any, interface_id: str) -> Properties | None:
    """Return what the API says about a network interface; None when it is gone."""
    return first(
        api.describe_network_interfaces, "NetworkInterfaces", _INTERFACE_GONE, NetworkInterfaceIds=[interface_id]
    )


def wait_until_available(call: Call, api: Any, interface_id: str) -> None:
    """Wait until no instance uses the interface; one that is gone is fine."""

    def free() -> bool:
        found = interface(api, interface_id)
        return found is None or found["Status"] == "available"

    call.wait_until(f"network interface {interface_id} available", free)


def _create_interface(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    addresses = inputs.get("privateIps") or [each for each in [inputs.get("privateIp")] if each]
    wanted = [{"PrivateIpAddress": each, "Primary": index == 0} for index, each in enumerate(addresses)]
    optional = {
        "Description": inputs.get("description"),
        "Groups": inputs.get("securityGroups"),
        "InterfaceType": inputs.get("interfaceType"),
        "PrivateIpAddresses": wanted,
        "SecondaryPrivateIpAddressCount": inputs.get("privateIpsCount"),
    }
    made = api.create_network_interface(
        SubnetId=inputs["subnetId"],
        **{name: value for name, value in optional.items() if value},
        **tag_specifications("network-interface", inputs.get("tags")),
    )
    interface_id = call.created(made["NetworkInterface"]["NetworkInterfaceId"])
    wait_until_available(call, api, interface_id)
    if not inputs["sourceDestCheck"]:
        api.modify_network_interface_attribute(NetworkInterfaceId=interface_id, SourceDestCheck={"Value": False})
    for each in inputs.get("attachments") or []:
        _attach(api, interface_id, each)
    return interface_id


def _attach(api: Any, interface_id: str, attachment: Properties) -> None:
    api.attach_network_interface(
        NetworkInterfaceId=interface_id, InstanceId=attachment["instance"], DeviceIndex=attachment["deviceIndex"]
    )


def _detach(call: Call, api: Any, interface_id: str) -> None:
    found = interface(api, interface_id)
    attachment = (found or {}).get("Attachment")
    if attachment and attachment.get("DeviceIndex"):  # an instance never gives up its first interface
        with gone_is_fine("InvalidAttachmentID.NotFound", *_INTERFACE_GONE):
            api.detach_network_interface(AttachmentId=attachment["AttachmentId"], Force=True)
        wait_until_available(call, api, interface_id)


def _read_interface(call: Call, interface_id: str, state: Properties) -> Properties | None:
    found = interface(ec2(call, state), interface_id)
    if found is None:
        return None
    owner = found["OwnerId"]
    addresses = [each["PrivateIpAddress"] for each in found["PrivateIpAddresses"]]
    resource = f"network-interface/{interface_id}"
    attachment = found.get("Attachment")
    return {
        "arn": session_of(call).arn("ec2", resource, region=region_of(call, state), account=owner),
        "ownerId": owner,
        "subnetId": found["SubnetId"],
        "description": found.get("Description"),
        "interfaceType": found.get("InterfaceType"),
        "macAddress": found["MacAddress"],
        "privateDnsName": found.get("PrivateDnsName", ""),
        "privateIp": found["PrivateIpAddress"],
        "privateIps": addresses,
        "privateIpsCount": len(addresses) - 1,
        "securityGroups": [group["GroupId"] for group in found["Groups"]],
        "sourceDestCheck": found["SourceDestCheck"],
        "attachments": [_attachment(attachment)] if attachment and attachment.get("InstanceId") else [],
        **tags_read(call, found.get("TagSet")),
    }


def _attachment(attachment: Properties) -> Properties:
    return {
        "attachmentId": attachment["AttachmentId"],
        "deviceIndex": attachment["DeviceIndex"],
        "instance": attachment["InstanceId"],
    }


def _update_interface(
    call: Call, resource_id: str, state: Properties, inputs: Properties, changed: frozenset[str]
) -> None:
    api = ec2(call, state)
    if "attachments" in changed:
        _detach(call, api, resource_id)
        for each in inputs.get("attachments") or []:
            _attach(api, resource_id, each)
    if "privateIps" in changed:
        old, new = set(state.get("privateIps") or ()), set(inputs.get("privateIps") or ())
        if old - new:
            api.unassign_private_ip_addresses(NetworkInterfaceId=resource_id, PrivateIpAddresses=sorted(old - new))
        if new - old:
            api.assign_private_ip_addresses(NetworkInterfaceId=resource_id, PrivateIpAddresses=sorted(new - old))
    attributes: dict[str, Any] = {
        "sourceDestCheck": ("SourceDestCheck", {"Value": inputs["sourceDestCheck"]}),
        "description": ("Description", {"Value": inputs.get("description") or ""}),
        "securityGroups": ("Groups", inputs.get("securityGroups")),
    }
    for key in changed & attributes.keys():
        name, value = attributes[key]
        api.modify_network_interface_attribute(NetworkInterfaceId=resource_id, **{name: value})


def _delete_interface(call: Call, interface_id: str, state: Properties) -> None:
    api = ec2(call, state)
    if state.get("attachments"):
        _detach(call, api, interface_id)
    with gone_is_fine(*_INTERFACE_GONE):
        api.delete_network_interface(NetworkInterfaceId=interface_id)


def _has_another_first_address(state: Properties, inputs: Properties) -> bool:
    """Tell whether the first address goes: another one is another interface (vpc_network_interface.go)."""
    return bool(state.get("privateIp")) and state["privateIp"] not in (inputs.get("privateIps") or [])


NETWORK_INTERFACE = ec2_resource(
    Resource(
        "aws:ec2/networkInterface:NetworkInterface",
        {
            "subnetId": NEEDED,
            "privateIp": FIXED_CHOSEN,
            "privateIps": Input(computed=True, unordered=True, replaces=_has_another_first_address),
            "privateIpsCount": CHOSEN,
            "securityGroups": Input(computed=True, unordered=True),
            "sourceDestCheck": Input(default=True),
            "description": Input(),
            "interfaceType": FIXED_CHOSEN,
            "attachments": Input(computed=True, unordered=True, partial=True),
        },
        _create_interface,
        _read_interface,
        _update_interface,
        _delete_interface,
        outputs=("arn", "macAddress", "ownerId", "privateDnsName"),
        timeout=600,
    )
)


def _address(api: Any, allocation_id: str) -> Properties | None:
    return first(api.describe_addresses, "Addresses", _ADDRESS_GONE, AllocationIds=[allocation_id])


def _create_address(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    optional = {
        "Address": inputs.get("address"),
        "NetworkBorderGroup": inputs.get("networkBorderGroup"),
        "PublicIpv4Pool": inputs.get("publicIpv4Pool"),
    }
    made = api.allocate_address(
        Domain=inputs.get("domain", "vpc"),
        **{name: value for name, value in optional.items() if value},
        **tag_specifications("elastic-ip", inputs.get("tags")),
    )
    allocation_id = call.created(made["AllocationId"])
    call.wait_until(f"elastic address {allocation_id}", lambda: _address(api, allocation_id))
    _associate_as_said(call, api, allocation_id, inputs)
    return allocation_id


def _associate_as_said(call: Call, api: Any, allocation_id: str, inputs: Properties) -> None:
    place = {
        "InstanceId": inputs.get("instance"),
        "NetworkInterfaceId": inputs.get("networkInterface"),
        "PrivateIpAddress": inputs.get("associateWithPrivateIp"),
    }
    if place["InstanceId"] or place["NetworkInterfaceId"]:
        _associate(call, api, AllocationId=allocation_id, **{name: value for name, value in place.items() if value})


def _associate(call: Call, api: Any, **arguments: Any) -> str:
    # An instance that does not run yet cannot take an address.
    made = persistently(
        call,
        f"association of {arguments.get('AllocationId') or arguments.get('PublicIp')}",
        lambda: api.associate_address(**arguments),
        {"InvalidInstanceID", "IncorrectInstanceState", "InvalidAllocationID.NotFound"},
    )
    return str(made["AssociationId"])


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
    """Return AWS's DNS name of an address, e.g. `ec2-203-0-113-1.eu-west-2.compute.amazonaws.com`."""
    return f"{prefix}-{address.replace('.', '-')}.{region}.{suffix}"


def _reverse_name(api: Any, allocation_id: str) -> str:
    found = first(
        api.describe_addresses_attribute,
        "Addresses",
        _ADDRESS_GONE,
        AllocationIds=[allocation_id],
        Attribute="domain-name",
    )
    return (found or {}).get("PtrRecord") or ""


def _update_address(call: Call, allocation_id: str, state: Properties, inputs: Properties, _: frozenset[str]) -> None:
    api = ec2(call, state)
    _disassociate(api, state.get("associationId"))
    _associate_as_said(call, api, allocation_id, inputs)


def _disassociate(api: Any, association_id: str | None) -> None:
    if association_id:
        with gone_is_fine(*_ASSOCIATION_GONE):
            api.disassociate_address(AssociationId=association_id)


def _delete_address(call: Call, allocation_id: str, state: Properties) -> None:
    api = ec2(call, state)
    _disassociate(api, state.get("associationId"))
    with gone_is_fine(*_ADDRESS_GONE):
        what = f"release of {allocation_id}"
        persistently(call, what, lambda: api.release_address(AllocationId=allocation_id), {"InvalidIPAddress.InUse"})


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

RESOURCES = (NETWORK_INTERFACE, EIP, EIP_ASSOCIATION)
