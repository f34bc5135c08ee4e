"""Look-ups of images and of the places that offer an instance type."""

import re
from typing import Any

from lab.resource_plugins.aws.common import ec2, region_of, session_of, tags_read
from lab.resource_plugins.aws.lookups.query import LookupFailedError, filters_of
from lab.resource_plugins.base import Call, Function, Properties


def _get_image(call: Call, arguments: Properties) -> Properties:
    optional = {"Owners": arguments.get("owners"), "ExecutableUsers": arguments.get("executableUsers")}
    images = ec2(call, arguments).describe_images(
        Filters=filters_of(arguments),
        IncludeDeprecated=bool(arguments.get("includeDeprecated")),
        **{name: value for name, value in optional.items() if value},
    )["Images"]
    if arguments.get("nameRegex"):
        images = [each for each in images if re.search(arguments["nameRegex"], each.get("Name", ""))]
    if not images:
        raise LookupFailedError("Your query returned no results. Please change your search criteria and try again.")
    if len(images) > 1 and not arguments.get("mostRecent"):
        raise LookupFailedError(
            "Your query returned more than one result. Please try a more specific search criteria, "
            "or set `most_recent` attribute to true."
        )
    return {**arguments, **_image(call, arguments, max(images, key=lambda each: str(each["CreationDate"])))}


def _image(call: Call, arguments: Properties, image: Properties) -> Properties:
    region = region_of(call, arguments)
    texts = (
        "Architecture", "BootMode", "CreationDate", "DeprecationTime", "Description", "Hypervisor", "ImageLocation",
        "ImageOwnerAlias", "ImageType", "ImdsSupport", "KernelId", "Name", "OwnerId", "Platform", "PlatformDetails",
        "RamdiskId", "RootDeviceName", "RootDeviceType", "SriovNetSupport", "State", "TpmSupport", "UsageOperation",
        "VirtualizationType",
    )  # fmt: skip
    return {
        **{name[0].lower() + name[1:]: str(image.get(name) or "") for name in texts},
        "id": image["ImageId"],
        "imageId": image["ImageId"],
        "arn": f"arn:{session_of(call).partition['id']}:ec2:{region}::image/{image['ImageId']}",
        "enaSupport": bool(image.get("EnaSupport")),
        "public": bool(image.get("Public")),
        "blockDeviceMappings": [_mapping(each) for each in image.get("BlockDeviceMappings") or []],
        "productCodes": [],
        "rootSnapshotId": next(
            (each["Ebs"].get("SnapshotId", "") for each in image.get("BlockDeviceMappings") or [] if "Ebs" in each), ""
        ),
        "stateReason": {},
        "region": region,
        "tags": tags_read(call, image.get("Tags"))["tags"],
    }


def _mapping(mapping: Properties) -> Properties:
    # The keys of a map of strings have the same names as in Terraform.
    names = {
        "DeleteOnTermination": "delete_on_termination",
        "Encrypted": "encrypted",
        "Iops": "iops",
        "SnapshotId": "snapshot_id",
        "Throughput": "throughput",
        "VolumeSize": "volume_size",
        "VolumeType": "volume_type",
    }
    ebs = mapping.get("Ebs") or {}
    return {
        "deviceName": mapping.get("DeviceName", ""),
        "ebs": {key: _text(ebs.get(name)) for name, key in names.items()} if ebs else {},
        "noDevice": mapping.get("NoDevice", ""),
        "virtualName": mapping.get("VirtualName", ""),
    }


def _text(value: Any) -> str:
    return str(value or 0).lower() if isinstance(value, bool | int | None) else str(value)


def _get_offerings(call: Call, arguments: Properties) -> Properties:
    location_type = arguments.get("locationType") or "region"
    pages = ec2(call, arguments).get_paginator("describe_instance_type_offerings")
    offerings = [
        each
        for page in pages.paginate(LocationType=location_type, Filters=filters_of(arguments))
        for each in page["InstanceTypeOfferings"]
    ]
    region = region_of(call, arguments)
    lists = {"instanceTypes": "InstanceType", "locations": "Location", "locationTypes": "LocationType"}
    return {
        **arguments,
        "id": region,
        "region": region,
        **{key: [each[name] for each in offerings] for key, name in lists.items()},
    }


FUNCTIONS = (
    Function("aws:ec2/getAmi:getAmi", _get_image),
    Function("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings", _get_offerings),
)
