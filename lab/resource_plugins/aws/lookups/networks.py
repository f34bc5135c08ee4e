"""Look-ups of VPCs, subnets, route tables and network interfaces."""

from lab.resource_plugins.aws.common import ec2, filters, region_of, session_of, tags_read
from lab.resource_plugins.aws.lookups.query import filters_of, ids_result, only
from lab.resource_plugins.aws.routes import describe_routes
from lab.resource_plugins.base import Call, Function, Properties


def _get_vpc(call: Call, arguments: Properties) -> Properties:
    api = ec2(call, arguments)
    default = {"is_default": "true"} if arguments.get("default") else {}
    criteria = filters_of(
        arguments,
        vpc_id=arguments.get("id"),
        cidr=arguments.get("cidrBlock"),
        dhcp_options_id=arguments.get("dhcpOptionsId"),
        state=arguments.get("state"),
        **default,
    )
    vpc = only("EC2 VPC", api.describe_vpcs(Filters=criteria)["Vpcs"])
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
    criteria = filters_of(
        arguments,
        subnet_id=arguments.get("id"),
        vpc_id=arguments.get("vpcId"),
        cidr_block=arguments.get("cidrBlock"),
        availability_zone=arguments.get("availabilityZone"),
        availability_zone_id=arguments.get("availabilityZoneId"),
        state=arguments.get("state"),
        **({"default_for_az": "true"} if arguments.get("defaultForAz") else {}),
    )
    subnet = only("EC2 Subnet", ec2(call, arguments).describe_subnets(Filters=criteria)["Subnets"])
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
    subnets = ec2(call, arguments).describe_subnets(Filters=filters_of(arguments))["Subnets"]
    return ids_result(call, arguments, sorted(each["SubnetId"] for each in subnets))


def _get_route_table(call: Call, arguments: Properties) -> Properties:
    criteria = filters_of(
        arguments,
        route_table_id=arguments.get("routeTableId"),
        vpc_id=arguments.get("vpcId"),
        association__subnet_id=arguments.get("subnetId"),
        association__gateway_id=arguments.get("gatewayId"),
    )
    table = only("EC2 Route Table", ec2(call, arguments).describe_route_tables(Filters=criteria)["RouteTables"])
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
    tables = ec2(call, arguments).describe_route_tables(Filters=filters_of(arguments, vpc_id=arguments.get("vpcId")))
    return ids_result(call, arguments, sorted(each["RouteTableId"] for each in tables["RouteTables"]))


def _get_interfaces(call: Call, arguments: Properties) -> Properties:
    interfaces = ec2(call, arguments).describe_network_interfaces(Filters=filters_of(arguments))["NetworkInterfaces"]
    return ids_result(call, arguments, sorted(each["NetworkInterfaceId"] for each in interfaces))


def _get_interface(call: Call, arguments: Properties) -> Properties:
    interfaces = ec2(call, arguments).describe_network_interfaces(
        Filters=filters_of(arguments, network_interface_id=arguments.get("id"))
    )["NetworkInterfaces"]
    interface = only("EC2 Network Interface", interfaces)
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


FUNCTIONS = (
    Function("aws:ec2/getNetworkInterface:getNetworkInterface", _get_interface),
    Function("aws:ec2/getNetworkInterfaces:getNetworkInterfaces", _get_interfaces),
    Function("aws:ec2/getRouteTable:getRouteTable", _get_route_table),
    Function("aws:ec2/getRouteTables:getRouteTables", _get_route_tables),
    Function("aws:ec2/getSubnet:getSubnet", _get_subnet),
    Function("aws:ec2/getSubnets:getSubnets", _get_subnets),
    Function("aws:ec2/getVpc:getVpc", _get_vpc),
)
