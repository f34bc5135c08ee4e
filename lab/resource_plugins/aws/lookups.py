"""Functions that look things up: images, zones, the caller, what exists already."""

import re
from typing import Any

from lab.resource_plugins.aws.kinds import ec2, filters, region_of, session_of, tags_read
from lab.resource_plugins.aws.routes import describe_routes
from lab.resource_plugins.base import Call, Function, Properties


class LookupFailedError(Exception):
    """A lookup did not find exactly one thing."""


def _filters(arguments: Properties, **own: Any) -> list[dict[str, Any]]:
    """Return the API's filters for `filters` and `tags` of a lookup, and for what `own` names."""
    said = [{"Name": each["name"], "Values": each["values"]} for each in arguments.get("filters") or []]
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in (arguments.get("tags") or {}).items()]
    return said + tags + filters(**{name: str(value) for name, value in own.items() if value is not None})


def _only(what: str, found: list[Properties]) -> Properties:
    if len(found) != 1:
        raise LookupFailedError(
            f"no matching {what} found" if not found else f"multiple {what}s matched; use additional constraints"
        )
    return found[0]


def _get_image(call: Call, arguments: Properties) -> Properties:
    optional = {"Owners": arguments.get("owners"), "ExecutableUsers": arguments.get("executableUsers")}
    images = ec2(call, arguments).describe_images(
        Filters=_filters(arguments),
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
    # A map of texts keeps the names that its keys have in Terraform.
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
    found = [
        each
        for page in pages.paginate(LocationType=location_type, Filters=_filters(arguments))
        for each in page["InstanceTypeOfferings"]
    ]
    region = region_of(call, arguments)
    lists = {"instanceTypes": "InstanceType", "locations": "Location", "locationTypes": "LocationType"}
    return {
        **arguments,
        "id": region,
        "region": region,
        **{key: [each[name] for each in found] for key, name in lists.items()},
    }


def _get_zones(call: Call, arguments: Properties) -> Properties:
    region = region_of(call, arguments)
    zones = ec2(call, arguments).describe_availability_zones(
        AllAvailabilityZones=bool(arguments.get("allAvailabilityZones")),
        Filters=_filters(arguments, state=arguments.get("state")),
    )["AvailabilityZones"]
    names, ids = arguments.get("excludeNames") or [], arguments.get("excludeZoneIds") or []
    kept = [each for each in zones if each["ZoneName"] not in names and each["ZoneId"] not in ids]
    kept.sort(key=lambda each: each["ZoneName"])
    return {
        **arguments,
        "id": region,
        "region": region,
        "groupNames": sorted({each.get("GroupName") or region for each in kept}),
        "names": [each["ZoneName"] for each in kept],
        "zoneIds": [each["ZoneId"] for each in kept],
    }


def _get_caller(call: Call, _arguments: Properties) -> Properties:
    identity = session_of(call).identity
    account = identity["Account"]
    return {"id": account, "accountId": account, "arn": identity["Arn"], "userId": identity["UserId"]}


def _get_region(call: Call, arguments: Properties) -> Properties:
    region, partition = arguments.get("name") or region_of(call, arguments), session_of(call).partition
    return {
        "id": region,
        "name": region,
        "region": region,
        "description": partition["regions"].get(region, {}).get("description", ""),
        "endpoint": f"ec2.{region}.{partition['outputs']['dnsSuffix']}",
    }


def _get_partition(call: Call, _arguments: Properties) -> Properties:
    partition = session_of(call).partition
    suffix = partition["outputs"]["dnsSuffix"]
    reverse = ".".join(reversed(suffix.split(".")))
    return {"id": partition["id"], "partition": partition["id"], "dnsSuffix": suffix, "reverseDnsPrefix": reverse}


def _get_parameter(call: Call, arguments: Properties) -> Properties:
    api = session_of(call).client("ssm", arguments.get("region"))
    decrypt = arguments.get("withDecryption", True)
    found = api.get_parameter(Name=arguments["name"], WithDecryption=decrypt)["Parameter"]
    return {
        "id": found["Name"],
        "name": arguments["name"],
        "arn": found["ARN"],
        "type": found["Type"],
        "value": found["Value"],
        "insecureValue": found["Value"] if found["Type"] != "SecureString" else "",
        "version": found["Version"],
        "withDecryption": decrypt,
        "region": region_of(call, arguments),
    }


def _get_vpc(call: Call, arguments: Properties) -> Properties:
    api = ec2(call, arguments)
    default = {"is_default": "true"} if arguments.get("default") else {}
    wanted = _filters(
        arguments,
        vpc_id=arguments.get("id"),
        cidr=arguments.get("cidrBlock"),
        dhcp_options_id=arguments.get("dhcpOptionsId"),
        state=arguments.get("state"),
        **default,
    )
    vpc = _only("EC2 VPC", api.describe_vpcs(Filters=wanted)["Vpcs"])
    vpc_id, region = vpc["VpcId"], region_of(call, arguments)
    names = ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics")
    attributes = {
        name: api.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)[name[0].upper() + name[1:]]["Value"]
        for name in names
    }
    main = api.describe_route_tables(Filters=filters(vpc_id=vpc_id, association__main="true"))["RouteTables"]
    return {
        **arguments,
        **attributes,
        "id": vpc_id,
        "arn": session_of(call).arn("ec2", f"vpc/{vpc_id}", region=region, account=vpc["OwnerId"]),
        "cidrBlock": vpc["CidrBlock"],
        "cidrBlockAssociations": [
            {
                "associationId": each["AssociationId"],
                "cidrBlock": each["CidrBlock"],
                "state": each["CidrBlockState"]["State"],
            }
            for each in vpc.get("CidrBlockAssociationSet", [])
        ],
        "default": vpc["IsDefault"],
        "dhcpOptionsId": vpc["DhcpOptionsId"],
        "instanceTenancy": vpc["InstanceTenancy"],
        "ipv6AssociationId": "",
        "ipv6CidrBlock": "",
        "ipv6CidrBlockAssociations": [],
        "mainRouteTableId": main[0]["RouteTableId"] if main else "",
        "ownerId": vpc["OwnerId"],
        "region": region,
        "state": vpc["State"],
        "tags": tags_read(call, vpc.get("Tags"))["tags"],
    }


def _get_subnet(call: Call, arguments: Properties) -> Properties:
    wanted = _filters(
        arguments,
        subnet_id=arguments.get("id"),
        vpc_id=arguments.get("vpcId"),
        cidr_block=arguments.get("cidrBlock"),
        availability_zone=arguments.get("availabilityZone"),
        availability_zone_id=arguments.get("availabilityZoneId"),
        state=arguments.get("state"),
        **({"default_for_az": "true"} if arguments.get("defaultForAz") else {}),
    )
    subnet = _only("EC2 Subnet", ec2(call, arguments).describe_subnets(Filters=wanted)["Subnets"])
    return {
        **arguments,
        "id": subnet["SubnetId"],
        "arn": subnet["SubnetArn"],
        "assignIpv6AddressOnCreation": subnet.get("AssignIpv6AddressOnCreation", False),
        "availabilityZone": subnet["AvailabilityZone"],
        "availabilityZoneId": subnet["AvailabilityZoneId"],
        "availableIpAddressCount": subnet["AvailableIpAddressCount"],
        "cidrBlock": subnet["CidrBlock"],
        "defaultForAz": subnet["DefaultForAz"],
        "mapPublicIpOnLaunch": subnet["MapPublicIpOnLaunch"],
        "ownerId": subnet["OwnerId"],
        "region": region_of(call, arguments),
        "state": subnet["State"],
        "tags": tags_read(call, subnet.get("Tags"))["tags"],
        "vpcId": subnet["VpcId"],
    }


def _get_subnets(call: Call, arguments: Properties) -> Properties:
    subnets = ec2(call, arguments).describe_subnets(Filters=_filters(arguments))["Subnets"]
    return _ids(call, arguments, sorted(each["SubnetId"] for each in subnets))


def _get_route_table(call: Call, arguments: Properties) -> Properties:
    wanted = _filters(
        arguments,
        route_table_id=arguments.get("routeTableId"),
        vpc_id=arguments.get("vpcId"),
        association__subnet_id=arguments.get("subnetId"),
        association__gateway_id=arguments.get("gatewayId"),
    )
    table = _only("EC2 Route Table", ec2(call, arguments).describe_route_tables(Filters=wanted)["RouteTables"])
    table_id, region = table["RouteTableId"], region_of(call, arguments)
    return {
        **arguments,
        "id": table_id,
        "routeTableId": table_id,
        "arn": session_of(call).arn("ec2", f"route-table/{table_id}", region=region, account=table["OwnerId"]),
        "associations": [
            {
                "gatewayId": each.get("GatewayId", ""),
                "main": each["Main"],
                "routeTableAssociationId": each["RouteTableAssociationId"],
                "routeTableId": each["RouteTableId"],
                "subnetId": each.get("SubnetId", ""),
            }
            for each in table.get("Associations", [])
        ],
        "ownerId": table["OwnerId"],
        "region": region,
        "routes": describe_routes(table, {"instanceId": "InstanceId"}),
        "tags": tags_read(call, table.get("Tags"))["tags"],
        "vpcId": table["VpcId"],
    }


def _get_route_tables(call: Call, arguments: Properties) -> Properties:
    tables = ec2(call, arguments).describe_route_tables(Filters=_filters(arguments, vpc_id=arguments.get("vpcId")))
    return _ids(call, arguments, sorted(each["RouteTableId"] for each in tables["RouteTables"]))


def _get_interfaces(call: Call, arguments: Properties) -> Properties:
    interfaces = ec2(call, arguments).describe_network_interfaces(Filters=_filters(arguments))["NetworkInterfaces"]
    return _ids(call, arguments, sorted(each["NetworkInterfaceId"] for each in interfaces))


def _get_interface(call: Call, arguments: Properties) -> Properties:
    found = ec2(call, arguments).describe_network_interfaces(
        Filters=_filters(arguments, network_interface_id=arguments.get("id"))
    )["NetworkInterfaces"]
    interface = _only("EC2 Network Interface", found)
    interface_id, region = interface["NetworkInterfaceId"], region_of(call, arguments)
    attachment = interface.get("Attachment")
    return {
        **arguments,
        "id": interface_id,
        "arn": session_of(call).arn("ec2", f"network-interface/{interface_id}", region=region),
        "associations": [],
        "attachments": [
            {
                "attachmentId": attachment.get("AttachmentId", ""),
                "deviceIndex": attachment.get("DeviceIndex", 0),
                "instanceId": attachment.get("InstanceId", ""),
                "instanceOwnerId": attachment.get("InstanceOwnerId", ""),
                "networkCardIndex": 0,
            }
        ]
        if attachment
        else [],
        "availabilityZone": interface["AvailabilityZone"],
        "description": interface.get("Description", ""),
        "interfaceType": interface.get("InterfaceType", "interface"),
        "ipv6Addresses": [],
        "macAddress": interface["MacAddress"],
        "ownerId": interface["OwnerId"],
        "privateDnsName": interface.get("PrivateDnsName", ""),
        "privateIp": interface["PrivateIpAddress"],
        "privateIps": [each["PrivateIpAddress"] for each in interface["PrivateIpAddresses"]],
        "region": region,
        "requesterId": interface.get("RequesterId", ""),
        "securityGroups": [each["GroupId"] for each in interface["Groups"]],
        "subnetId": interface["SubnetId"],
        "tags": tags_read(call, interface.get("TagSet"))["tags"],
        "vpcId": interface["VpcId"],
    }


def _ids(call: Call, arguments: Properties, ids: list[str]) -> Properties:
    region = region_of(call, arguments)
    return {**arguments, "id": region, "ids": ids, "region": region}


FUNCTIONS = (
    Function("aws:ec2/getAmi:getAmi", _get_image),
    Function("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings", _get_offerings),
    Function("aws:ec2/getNetworkInterface:getNetworkInterface", _get_interface),
    Function("aws:ec2/getNetworkInterfaces:getNetworkInterfaces", _get_interfaces),
    Function("aws:ec2/getRouteTable:getRouteTable", _get_route_table),
    Function("aws:ec2/getRouteTables:getRouteTables", _get_route_tables),
    Function("aws:ec2/getSubnet:getSubnet", _get_subnet),
    Function("aws:ec2/getSubnets:getSubnets", _get_subnets),
    Function("aws:ec2/getVpc:getVpc", _get_vpc),
    Function("aws:index/getAvailabilityZones:getAvailabilityZones", _get_zones),
    Function("aws:index/getCallerIdentity:getCallerIdentity", _get_caller),
    Function("aws:index/getPartition:getPartition", _get_partition),
    Function("aws:index/getRegion:getRegion", _get_region),
    Function("aws:ssm/getParameter:getParameter", _get_parameter, secret_outputs=("value",)),
)
