"""Internet gateways."""

from typing import Any

from lab.resource_plugins.aws.common import (
    CHOSEN,
    ec2,
    ec2_resource,
    first,
    ignoring_errors,
    region_of,
    retry,
    session_of,
    tag_specifications,
    tags_read,
)
from lab.resource_plugins.base import Call, Properties, Resource

_VPC_GONE = ("InvalidVpcID.NotFound",)
_GATEWAY_GONE = ("InvalidInternetGatewayID.NotFound",)


def _create_gateway(call: Call, inputs: Properties) -> str:
    api = ec2(call, inputs)
    response = api.create_internet_gateway(**tag_specifications("internet-gateway", inputs.get("tags")))
    gateway_id = call.created(response["InternetGateway"]["InternetGatewayId"])
    if inputs.get("vpcId"):
        _attach(call, api, gateway_id, inputs["vpcId"])
    return gateway_id


def _attach(call: Call, api: Any, gateway_id: str, vpc_id: str) -> None:
    retry(
        call,
        f"attachment of {gateway_id} to {vpc_id}",
        lambda: api.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id),
        _GATEWAY_GONE,
    )


def _detach(call: Call, api: Any, gateway_id: str, vpc_id: str) -> None:
    # AWS refuses while the VPC has mapped public addresses. They disappear with their instances and Elastic IPs.
    with ignoring_errors("Gateway.NotAttached", *_GATEWAY_GONE, *_VPC_GONE):
        retry(
            call,
            f"detachment of {gateway_id} from {vpc_id}",
            lambda: api.detach_internet_gateway(InternetGatewayId=gateway_id, VpcId=vpc_id),
            {"DependencyViolation"},
        )


def _gateway(api: Any, gateway_id: str) -> Properties | None:
    return first(api.describe_internet_gateways, "InternetGateways", _GATEWAY_GONE, InternetGatewayIds=[gateway_id])


def _attached_vpc(gateway: Properties) -> str:
    attached = [each["VpcId"] for each in gateway.get("Attachments", []) if each["State"] in {"available", "attached"}]
    return attached[0] if attached else ""


def _read_gateway(call: Call, gateway_id: str, state: Properties) -> Properties | None:
    gateway = _gateway(ec2(call, state), gateway_id)
    if gateway is None:
        return None
    session, resource = session_of(call), f"internet-gateway/{gateway_id}"
    owner = gateway.get("OwnerId") or session.account
    return {
        "arn": session.arn("ec2", resource, region=region_of(call, state), account=owner),
        "ownerId": owner,
        "vpcId": _attached_vpc(gateway),
        **tags_read(call, gateway.get("Tags")),
    }


def _update_gateway(call: Call, gateway_id: str, state: Properties, inputs: Properties, _: frozenset[str]) -> None:
    api = ec2(call, state)
    if state.get("vpcId"):
        _detach(call, api, gateway_id, state["vpcId"])
    if inputs.get("vpcId"):
        _attach(call, api, gateway_id, inputs["vpcId"])


def _delete_gateway(call: Call, gateway_id: str, state: Properties) -> None:
    api = ec2(call, state)
    if state.get("vpcId"):
        _detach(call, api, gateway_id, state["vpcId"])
    with ignoring_errors(*_GATEWAY_GONE):
        delete = api.delete_internet_gateway
        what = f"deletion of {gateway_id}"
        retry(call, what, lambda: delete(InternetGatewayId=gateway_id), {"DependencyViolation"})


INTERNET_GATEWAY = ec2_resource(
    Resource(
        "aws:ec2/internetGateway:InternetGateway",
        {"vpcId": CHOSEN},
        _create_gateway,
        _read_gateway,
        _update_gateway,
        _delete_gateway,
        outputs=("arn", "ownerId"),
        timeout=1200,
    )
)

RESOURCES = (INTERNET_GATEWAY,)
