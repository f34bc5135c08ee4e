"""Look-ups of the caller, the region, its zones and its SSM parameters."""

from lab.resource_plugins.aws.common import ec2, region_of, session_of
from lab.resource_plugins.aws.lookups.query import filters_of
from lab.resource_plugins.base import Call, Function, Properties


def _get_zones(call: Call, arguments: Properties) -> Properties:
    region = region_of(call, arguments)
    zones = ec2(call, arguments).describe_availability_zones(
        AllAvailabilityZones=bool(arguments.get("allAvailabilityZones")),
        Filters=filters_of(arguments, state=arguments.get("state")),
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
    parameter = api.get_parameter(Name=arguments["name"], WithDecryption=decrypt)["Parameter"]
    return {
        "id": parameter["Name"],
        "name": arguments["name"],
        "arn": parameter["ARN"],
        "type": parameter["Type"],
        "value": parameter["Value"],
        "insecureValue": parameter["Value"] if parameter["Type"] != "SecureString" else "",
        "version": parameter["Version"],
        "withDecryption": decrypt,
        "region": region_of(call, arguments),
    }


FUNCTIONS = (
    Function("aws:index/getAvailabilityZones:getAvailabilityZones", _get_zones),
    Function("aws:index/getCallerIdentity:getCallerIdentity", _get_caller),
    Function("aws:index/getPartition:getPartition", _get_partition),
    Function("aws:index/getRegion:getRegion", _get_region),
    Function("aws:ssm/getParameter:getParameter", _get_parameter, secret_outputs=("value",)),
)
