"""Network interfaces."""

from typing import Any

from lab.resource_plugins.aws.common import (
    CHOSEN,
    FIXED_CHOSEN,
    NEEDED,
    ec2,
    ec2_resource,
    first,
    ignoring_errors,
    region_of,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource

_INTERFACE_GONE = ("InvalidNetworkInterfaceID.NotFound",)


def interface(api: Any, interface_id: str) -> Properties | None:
    """Return the API's description of a network interface; None when it does not exist."""
    return first(
        api.describe_network_interfaces, "NetworkInterfaces", _INTERFACE_GONE, NetworkInterfaceIds=[interface_id]
    )


def wait_until_available(call: Call, api: Any, interface_id: str) -> None:
    """Wait until no instance uses the interface, or it does not exist."""

    def free() -> bool:
        description = interface(api, interface_id)
        return description is None or description["Status"] == "available"

    call.wait_until(f"network interface {interface_id} available", free)


def _create_interface(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    addresses = inputs.get("privateIps") or [each for each in [inputs.get("privateIp")] if each]
    specifications = [{"PrivateIpAddress": each, "Primary": index == 0} for index, each in enumerate(addresses)]
    optional = {
        "Description": inputs.get("description"),
        "Groups": inputs.get("securityGroups"),
        "InterfaceType": inputs.get("interfaceType"),
        "PrivateIpAddresses": specifications,
        "SecondaryPrivateIpAddressCount": inputs.get("privateIpsCount"),
    }
    response = api.create_network_interface(
        SubnetId=inputs["subnetId"],
        **{name: value for name, value in optional.items() if value},
        **tag_specifications("network-interface", inputs.get("tags")),
    )
    interface_id = call.created(response["NetworkInterface"]["NetworkInterfaceId"])
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
    attachment = (interface(api, interface_id) or {}).get("Attachment")
    if attachment and attachment.get("DeviceIndex"):  # the primary interface cannot be detached
        with ignoring_errors("InvalidAttachmentID.NotFound", *_INTERFACE_GONE):
            api.detach_network_interface(AttachmentId=attachment["AttachmentId"], Force=True)
        wait_until_available(call, api, interface_id)


def _read_interface(call: Call, interface_id: str, state: Properties) -> Properties | None:
    description = interface(ec2(call, state), interface_id)
    if description is None:
        return None
    owner = description["OwnerId"]
    addresses = [each["PrivateIpAddress"] for each in description["PrivateIpAddresses"]]
    resource = f"network-interface/{interface_id}"
    attachment = description.get("Attachment")
    return {
        "arn": session_of(call).arn("ec2", resource, region=region_of(call, state), account=owner),
        "ownerId": owner,
        "subnetId": description["SubnetId"],
        "description": description.get("Description"),
        "interfaceType": description.get("InterfaceType"),
        "macAddress": description["MacAddress"],
        "privateDnsName": description.get("PrivateDnsName", ""),
        "privateIp": description["PrivateIpAddress"],
        "privateIps": addresses,
        "privateIpsCount": len(addresses) - 1,
        "securityGroups": [group["GroupId"] for group in description["Groups"]],
        "sourceDestCheck": description["SourceDestCheck"],
        "attachments": [_attachment(attachment)] if attachment and attachment.get("InstanceId") else [],
        **tags_read(call, description.get("TagSet")),
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
    with ignoring_errors(*_INTERFACE_GONE):
        api.delete_network_interface(NetworkInterfaceId=interface_id)


def _primary_address_changes(state: Properties, inputs: Properties) -> bool:
    """Tell whether the primary address changes, which needs a new interface (vpc_network_interface.go)."""
    return bool(state.get("privateIp")) and state["privateIp"] not in (inputs.get("privateIps") or [])


NETWORK_INTERFACE = ec2_resource(
    Resource(
        "aws:ec2/networkInterface:NetworkInterface",
        {
            "subnetId": NEEDED,
            "privateIp": FIXED_CHOSEN,
            "privateIps": Input(computed=True, unordered=True, replaces=_primary_address_changes),
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

RESOURCES = (NETWORK_INTERFACE,)
