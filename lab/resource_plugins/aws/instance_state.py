"""Reads the properties of an instance."""

import base64
from typing import Any

from lab.resource_plugins.aws.common import ec2, first, region_of, session_of, tags_read
from lab.resource_plugins.aws.elastic_addresses import dns_name
from lab.resource_plugins.base import Call, Properties

INSTANCE_GONE = ("InvalidInstanceID.NotFound",)

_BURSTABLE = ("t2.", "t3.", "t3a.", "t4g.")


def find(api: Any, instance_id: str) -> Properties | None:
    """Return the API's description of an instance; None when it is terminated or unknown."""
    reservation = first(api.describe_instances, "Reservations", INSTANCE_GONE, InstanceIds=[instance_id])
    instance = dict(reservation["Instances"][0]) if reservation else None
    return None if instance and instance["State"]["Name"] == "terminated" else instance


def root_device(api: Any, image_id: str) -> str:
    """Return the name of an image's root device, e.g. `/dev/xvda`. Raises ValueError for an unknown image."""
    image = first(api.describe_images, "Images", ImageIds=[image_id])
    if image is None:
        raise ValueError(f"finding the root device of image {image_id!r}: no such image in this region")
    return str(image.get("RootDeviceName") or "/dev/xvda")


def read(call: Call, instance_id: str, state: Properties) -> Properties | None:
    """Return an instance's properties; None when it does not exist."""
    api, session, region = ec2(call, state), session_of(call), region_of(call, state)
    instance = find(api, instance_id)
    if instance is None:
        return None
    profile = (instance.get("IamInstanceProfile") or {}).get("Arn", "")
    return {
        "arn": session.arn("ec2", f"instance/{instance_id}", region=region),
        "ami": instance["ImageId"],
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
        "ebsOptimized": bool(instance.get("EbsOptimized")),
        "iamInstanceProfile": profile.rpartition("/")[2],
        "instanceState": instance["State"]["Name"],
        "instanceType": instance["InstanceType"],
        "keyName": instance.get("KeyName", ""),
        "metadataOptions": _metadata_options(instance.get("MetadataOptions") or {}),
        "monitoring": instance["Monitoring"]["State"] in {"enabled", "pending"},
        "tenancy": instance["Placement"].get("Tenancy") or "default",
        **_network(instance, region, state),
        **_attributes(api, instance_id),
        **_user_data(api, instance_id, state),
        **_root_volume(call, api, instance, state),
        **_credits(api, instance),
        **tags_read(call, instance.get("Tags")),
    }


def _metadata_options(options: Properties) -> Properties | None:
    return {
        "httpEndpoint": options.get("HttpEndpoint"),
        "httpProtocolIpv6": options.get("HttpProtocolIpv6", "disabled"),
        "httpPutResponseHopLimit": options.get("HttpPutResponseHopLimit"),
        "httpTokens": options.get("HttpTokens"),
        "instanceMetadataTags": options.get("InstanceMetadataTags", "disabled"),
    } if options else None  # fmt: skip


def _network(instance: Properties, region: str, state: Properties) -> Properties:
    interfaces = instance.get("NetworkInterfaces") or []
    primary = next((each for each in interfaces if each["Attachment"]["DeviceIndex"] == 0), None)
    private, public = instance.get("PrivateIpAddress", ""), instance.get("PublicIpAddress", "")
    addresses = {
        "privateIp": private,
        "privateDns": instance.get("PrivateDnsName") or dns_name("ip", private, region, "compute.internal"),
        "publicIp": public,
        "publicDns": instance.get("PublicDnsName") or "",
    }
    if primary is None:
        return {**addresses, "sourceDestCheck": instance.get("SourceDestCheck", True)}
    has_existing = "primaryNetworkInterface" in state or "networkInterfaces" in state
    attachment = {
        "networkInterfaceId": primary["NetworkInterfaceId"],
        "deleteOnTermination": primary["Attachment"].get("DeleteOnTermination", False),
    }
    return {
        **addresses,
        "associatePublicIpAddress": "Association" in primary,
        "primaryNetworkInterfaceId": primary["NetworkInterfaceId"],
        **({"primaryNetworkInterface": attachment} if "networkInterfaces" not in state and has_existing else {}),
        "sourceDestCheck": primary["SourceDestCheck"],
        "subnetId": primary["SubnetId"],
        "vpcSecurityGroupIds": [group["GroupId"] for group in primary["Groups"]],
    }


def _attributes(api: Any, instance_id: str) -> Properties:
    names = {
        "disableApiTermination": "DisableApiTermination",
        "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    }
    return {
        key: api.describe_instance_attribute(InstanceId=instance_id, Attribute=key)[name].get("Value")
        for key, name in names.items()
    }


def _user_data(api: Any, instance_id: str, state: Properties) -> Properties:
    attribute = api.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    encoded = (attribute.get("UserData") or {}).get("Value") or ""
    if not encoded:
        return {"userData": None, "userDataBase64": None}
    raw = base64.b64decode(encoded)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if "userDataBase64" in state or text is None:
        return {"userData": None, "userDataBase64": base64.b64encode(raw).decode()}
    return {"userData": text, "userDataBase64": None}


def root_volume(instance: Properties) -> str:
    """Return the id of an instance's root volume; empty when it has none."""
    mapping = _root_mapping(instance)
    return str(mapping["Ebs"]["VolumeId"]) if mapping else ""


def _root_mapping(instance: Properties) -> Properties | None:
    device, mappings = instance.get("RootDeviceName"), instance.get("BlockDeviceMappings") or []
    return next((each for each in mappings if each["DeviceName"] == device), None)


def _root_volume(call: Call, api: Any, instance: Properties, state: Properties) -> Properties:
    mapping = _root_mapping(instance)
    if mapping is None:
        return {}
    volume = first(api.describe_volumes, "Volumes", ("InvalidVolume.NotFound",), VolumeIds=[mapping["Ebs"]["VolumeId"]])
    if volume is None:
        return {}
    tags = tags_read(call, volume.get("Tags"))
    return {
        "rootBlockDevice": {
            "deleteOnTermination": mapping["Ebs"].get("DeleteOnTermination"),
            "deviceName": mapping["DeviceName"],
            "encrypted": volume["Encrypted"],
            "iops": volume.get("Iops"),
            "kmsKeyId": volume.get("KmsKeyId", ""),
            "throughput": volume.get("Throughput"),
            "volumeId": volume["VolumeId"],
            "volumeSize": volume["Size"],
            "volumeType": volume["VolumeType"],
            **tags,
        },
        # As in the real provider, only if the program sets them (ec2_instance.go, readVolumeTags).
        **({"volumeTags": tags["tags"]} if state.get("volumeTags") else {}),
    }


def _credits(api: Any, instance: Properties) -> Properties:
    if not instance["InstanceType"].startswith(_BURSTABLE):
        return {}
    specification = first(
        api.describe_instance_credit_specifications,
        "InstanceCreditSpecifications",
        INSTANCE_GONE,
        InstanceIds=[instance["InstanceId"]],
    )
    return {"creditSpecification": {"cpuCredits": specification["CpuCredits"]}} if specification else {}
