"""Look-ups of Elastic IP addresses."""

from lab.resource_plugins.aws.common import ec2, region_of, session_of, tags_read
from lab.resource_plugins.aws.elastic_addresses import dns_name
from lab.resource_plugins.aws.lookups.query import filters_of, only
from lab.resource_plugins.base import Call, Function, Properties


def _get_address(call: Call, arguments: Properties) -> Properties:
    criteria = filters_of(arguments, allocation_id=arguments.get("id"), public_ip=arguments.get("publicIp"))
    address = only("EC2 EIP", ec2(call, arguments).describe_addresses(Filters=criteria)["Addresses"])
    allocation_id, public_ip, region = address["AllocationId"], address["PublicIp"], region_of(call, arguments)
    private_ip = address.get("PrivateIpAddress", "")
    return {
        **arguments,
        "id": allocation_id,
        "arn": session_of(call).arn("ec2", f"elastic-ip/{allocation_id}", region=region),
        "associationId": address.get("AssociationId", ""),
        "carrierIp": address.get("CarrierIp", ""),
        "customerOwnedIp": address.get("CustomerOwnedIp", ""),
        "customerOwnedIpv4Pool": address.get("CustomerOwnedIpv4Pool", ""),
        "domain": address["Domain"],
        "instanceId": address.get("InstanceId", ""),
        "ipamPoolId": "",
        "networkInterfaceId": address.get("NetworkInterfaceId", ""),
        "networkInterfaceOwnerId": address.get("NetworkInterfaceOwnerId", ""),
        "privateDns": dns_name("ip", private_ip, region, "compute.internal") if private_ip else "",
        "privateIp": private_ip,
        "ptrRecord": "",
        "publicDns": dns_name("ec2", public_ip, region, "compute.amazonaws.com"),
        "publicIp": public_ip,
        "publicIpv4Pool": address.get("PublicIpv4Pool") or "amazon",
        "region": region,
        "tags": tags_read(call, address.get("Tags"))["tags"],
    }


FUNCTIONS = (Function("aws:ec2/getElasticIp:getElasticIp", _get_address),)
