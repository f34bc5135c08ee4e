"""AWS's errors: their codes and messages, and their form in each protocol.

Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

import json
import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError

_RESOURCE_ID: Final = re.compile(r"\b[a-z]+-[0-9a-f]{8,17}\b|\beipalloc-\w+")

# moto's messages for these codes differ from AWS's, or contain a Python set. These are AWS's, for one missing resource.
_WORDING: Final[Mapping[str, str]] = {
    "InvalidAllocationID.NotFound": "The allocation ID '{}' does not exist",
    "InvalidAMIID.NotFound": "The image id '[{}]' does not exist",
    "InvalidAssociationID.NotFound": "The association ID '{}' does not exist",
    "InvalidGroup.NotFound": "The security group '{}' does not exist",
    "InvalidInstanceID.NotFound": "The instance ID '{}' does not exist",
    "InvalidInternetGatewayID.NotFound": "The internetGateway ID '{}' does not exist",
    "InvalidNetworkInterfaceID.NotFound": "The networkInterface ID '{}' does not exist",
    "InvalidRouteTableID.NotFound": "The routeTable ID '{}' does not exist",
    "InvalidSecurityGroupRuleId.NotFound": "The security group rule ID '{}' does not exist",
    "InvalidSubnetID.NotFound": "The subnet ID '{}' does not exist",
    "InvalidVpcID.NotFound": "The vpc ID '{}' does not exist",
}


def ec2_error(code: str, message: str) -> EC2ClientError:
    """Return an EC2 client error (HTTP 400)."""
    return EC2ClientError(code, message)


def dependency_violation(kind: str, resource_id: str) -> EC2ClientError:
    """Return EC2's error for deleting a resource in use; `kind` as AWS writes it, e.g. `subnet`, `routeTable`."""
    return ec2_error("DependencyViolation", f"The {kind} '{resource_id}' has dependencies and cannot be deleted.")


def in_aws_words(error: ServiceException) -> ServiceException:
    """Return `error` with AWS's message where moto's differs; the code stays."""
    template = _WORDING.get(error.code)
    resource_id = _RESOURCE_ID.search(str(error.message))
    if template is None or resource_id is None:
        return error
    return ec2_error(error.code, template.format(resource_id.group()))


class ApiError(Exception):
    """An error that the lab raises outside moto's services, e.g. for a wrong signature."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def render(service: str, error: ApiError, request_id: str, *, as_json: bool = False) -> tuple[dict[str, str], str]:
    """Return headers and body of `error` in the protocol of `service`.

    JSON when the request was, EC2's XML for ec2, the query protocol's XML for everything else.
    """
    if as_json:
        body = json.dumps({"__type": error.code, "message": error.message})
        version = "1.1" if service == "ssm" else "1.0"
        return {"Content-Type": f"application/x-amz-json-{version}", "x-amzn-ErrorType": error.code}, body
    code, message = escape(error.code), escape(error.message)
    if service == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    else:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return {"Content-Type": "text/xml"}, body
