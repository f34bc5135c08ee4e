"""Instances, from launch to termination."""

import base64
import uuid
from typing import Any

from lab.resource_plugins.aws.common import CHOSEN, FIXED_CHOSEN, ec2, ec2_resource, ignoring_errors, retry, tag_list
from lab.resource_plugins.aws.instance_changes import change, root_needs_replacement
from lab.resource_plugins.aws.instance_state import INSTANCE_GONE, find, read, root_device, root_volume
from lab.resource_plugins.aws.network_interfaces import wait_until_available
from lab.resource_plugins.base import Call, Input, Properties, Resource

_SIMPLE = {
    "ami": "ImageId",
    "ebsOptimized": "EbsOptimized",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "instanceType": "InstanceType",
    "keyName": "KeyName",
    "userDataBase64": "UserData",
    "userData": "UserData",
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
}
_METADATA = {
    "httpEndpoint": "HttpEndpoint",
    "httpProtocolIpv6": "HttpProtocolIpv6",
    "httpPutResponseHopLimit": "HttpPutResponseHopLimit",
    "httpTokens": "HttpTokens",
    "instanceMetadataTags": "InstanceMetadataTags",
}
_VOLUME = {
    "deleteOnTermination": "DeleteOnTermination",
    "encrypted": "Encrypted",
    "iops": "Iops",
    "kmsKeyId": "KmsKeyId",
    "throughput": "Throughput",
    "volumeSize": "VolumeSize",
    "volumeType": "VolumeType",
}


def _named(properties: Properties | None, names: dict[str, str]) -> dict[str, Any]:
    values = properties or {}
    return {name: values[key] for key, name in names.items() if values.get(key) is not None and values[key] != ""}


def _launch_arguments(api: Any, inputs: Properties) -> dict[str, Any]:
    arguments = _named(inputs, _SIMPLE)
    if "userDataBase64" in inputs:  # decoded, because botocore encodes it
        arguments["UserData"] = base64.b64decode(inputs["userDataBase64"])
    options = {
        "MetadataOptions": _named(inputs.get("metadataOptions"), _METADATA),
        "CreditSpecification": _named(inputs.get("creditSpecification"), {"cpuCredits": "CpuCredits"}),
        "IamInstanceProfile": _named(inputs, {"iamInstanceProfile": "Name"}),
        "Placement": _named(inputs, {"availabilityZone": "AvailabilityZone", "tenancy": "Tenancy"}),
        "Monitoring": {"Enabled": True} if inputs.get("monitoring") else {},
        "BlockDeviceMappings": _root_mapping(api, inputs),
        "TagSpecifications": _launch_tags(inputs),
    }
    return {**arguments, **{key: value for key, value in options.items() if value}, **_network(inputs)}


def _root_mapping(api: Any, inputs: Properties) -> list[dict[str, Any]]:
    volume = _named(inputs.get("rootBlockDevice"), _VOLUME)
    return [{"DeviceName": root_device(api, inputs["ami"]), "Ebs": volume}] if volume else []


def _launch_tags(inputs: Properties) -> list[dict[str, Any]]:
    kinds = (("instance", inputs.get("tags")), ("volume", inputs.get("volumeTags")))
    return [{"ResourceType": kind, "Tags": tag_list(tags)} for kind, tags in kinds if tags]


def _network(inputs: Properties) -> dict[str, Any]:
    """Return the launch arguments for the network: existing interfaces, or the description of a new one."""
    existing = _existing_interfaces(inputs)
    if existing:
        return {"NetworkInterfaces": existing}
    names = {"subnetId": "SubnetId", "privateIp": "PrivateIpAddress"}
    if "associatePublicIpAddress" not in inputs:
        groups = inputs.get("vpcSecurityGroupIds")
        return {**_named(inputs, names), **({"SecurityGroupIds": groups} if groups else {})}
    interface = {
        "DeviceIndex": 0,
        "AssociatePublicIpAddress": inputs["associatePublicIpAddress"],
        **_named(inputs, {**names, "vpcSecurityGroupIds": "Groups"}),
    }
    return {"NetworkInterfaces": [interface]}


def _existing_interfaces(inputs: Properties) -> list[dict[str, Any]]:
    primary = inputs.get("primaryNetworkInterface")
    if primary:
        return [{"DeviceIndex": 0, "NetworkInterfaceId": primary["networkInterfaceId"]}]
    names = {
        "deviceIndex": "DeviceIndex",
        "networkInterfaceId": "NetworkInterfaceId",
        "networkCardIndex": "NetworkCardIndex",
    }
    return [
        {**_named(each, names), "DeleteOnTermination": bool(each.get("deleteOnTermination"))}
        for each in inputs.get("networkInterfaces") or []
    ]


def _create(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    # The token prevents a second launch when botocore repeats the request.
    arguments = {**_launch_arguments(api, inputs), "ClientToken": f"pulumi-{uuid.uuid4().hex}"}
    # EC2 may not know a new instance profile yet.
    launch = retry(
        call,
        f"launch of instance {call.name}",
        lambda: api.run_instances(MinCount=1, MaxCount=1, **arguments),
        {"InvalidParameterValue"},
        text="Invalid IAM Instance Profile",
    )
    instance_id = call.created(launch["Instances"][0]["InstanceId"])
    _wait_until_running(call, api, instance_id)
    _tag_root_volume(api, instance_id, inputs)
    if not inputs["sourceDestCheck"] and not _existing_interfaces(inputs):
        api.modify_instance_attribute(InstanceId=instance_id, SourceDestCheck={"Value": False})
    return instance_id


def _tag_root_volume(api: Any, instance_id: str, inputs: Properties) -> None:
    """Tag the root volume. The real provider does this after the launch, too (ec2_instance.go)."""
    tags = (inputs.get("rootBlockDevice") or {}).get("tags")
    if tags:
        api.create_tags(Resources=[root_volume(find(api, instance_id) or {})], Tags=tag_list(tags))


def _wait_until_running(call: Call, api: Any, instance_id: str) -> None:
    def running() -> bool:
        instance = find(api, instance_id)
        state = instance["State"]["Name"] if instance else "pending"
        if state in {"shutting-down", "terminated", "stopping", "stopped"}:
            reason = (instance or {}).get("StateReason", {}).get("Message", "no reason given")
            raise RuntimeError(f"instance {instance_id} is {state} instead of running: {reason}")
        return state == "running"

    call.wait_until(f"instance {instance_id} running", running)


def _delete(call: Call, instance_id: str, state: Properties) -> None:
    api = ec2(call, state)
    with ignoring_errors(*INSTANCE_GONE):
        if state.get("disableApiTermination") and state.get("forceDestroy"):
            api.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
        api.terminate_instances(InstanceIds=[instance_id])
    call.wait_until(f"instance {instance_id} terminated", lambda: find(api, instance_id) is None)
    for interface in _existing_interfaces(state):
        wait_until_available(call, api, interface["NetworkInterfaceId"])


def _has_interfaces(state: Properties, inputs: Properties) -> bool:
    # Not `primaryNetworkInterface`: with it the real provider compares the interface's check with the instance's
    # default and changes it back (terraform-provider-aws #44768), so a program needs `ignore_changes`.
    return bool(inputs.get("networkInterfaces") or state.get("networkInterfaces"))


def _replace_for_user_data(_state: Properties, inputs: Properties) -> bool:
    return bool(inputs.get("userDataReplaceOnChange"))


def _plan(_call: Call, inputs: Properties, state: Properties) -> Properties:
    primary = inputs.get("primaryNetworkInterface")
    known = not state and isinstance(primary, dict)
    return {"primaryNetworkInterfaceId": primary["networkInterfaceId"]} if known and primary else {}


_USER_DATA = Input(computed=True, replaces=_replace_for_user_data)
_STOPPING = ("instanceType", "userData", "userDataBase64")

INSTANCE = ec2_resource(
    Resource(
        "aws:ec2/instance:Instance",
        {
            "ami": FIXED_CHOSEN,
            "instanceType": CHOSEN,
            "availabilityZone": FIXED_CHOSEN,
            "subnetId": FIXED_CHOSEN,
            "privateIp": FIXED_CHOSEN,
            "associatePublicIpAddress": FIXED_CHOSEN,
            "vpcSecurityGroupIds": Input(computed=True, unordered=True),
            "sourceDestCheck": Input(default=True, ignored=_has_interfaces),
            "primaryNetworkInterface": Input(replaces=True, computed=True, partial=True),
            "networkInterfaces": Input(replaces=True, computed=True, unordered=True, partial=True),
            "keyName": FIXED_CHOSEN,
            "iamInstanceProfile": CHOSEN,
            "userData": _USER_DATA,
            "userDataBase64": _USER_DATA,
            "userDataReplaceOnChange": Input(default=False),
            "metadataOptions": Input(computed=True, partial=True),
            "rootBlockDevice": Input(computed=True, partial=True, replaces=root_needs_replacement),
            "creditSpecification": Input(computed=True, partial=True),
            "monitoring": CHOSEN,
            "ebsOptimized": FIXED_CHOSEN,
            "tenancy": FIXED_CHOSEN,
            "disableApiTermination": CHOSEN,
            "disableApiStop": CHOSEN,
            "instanceInitiatedShutdownBehavior": CHOSEN,
            "volumeTags": Input(),
            "forceDestroy": Input(default=False, ignored=True),
            "getPasswordData": Input(default=False, ignored=True),
        },
        _create,
        read,
        change,
        _delete,
        outputs=(
            "arn", "instanceState", "primaryNetworkInterfaceId", "privateDns", "publicDns", "publicIp",
        ),
        moved_by=dict.fromkeys(("publicIp", "publicDns"), _STOPPING),
        plan=_plan,
        timeout=1200,
    )
)  # fmt: skip

RESOURCES = (INSTANCE,)
