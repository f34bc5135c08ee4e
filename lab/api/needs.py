"""The rights that a call requires: its action on each resource, and the actions that AWS then takes for the caller.

Only the condition keys that policies for deployers use (docs/iam.md) are provided. Source:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html and
…/list_amazonec2.html, …/list_amazoncloudwatch.html
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.ec2.models import EC2Backend, ec2_backends

from lab import settings
from lab.api.authorization import Need
from lab.api.decryption import decryptions
from lab.api.policies import Context, iam_action
from lab.api.resources import instance_profile, resources_of, role_named

_OF_THE_REQUEST: Final = frozenset({"CreateRole", "PutRolePermissionsBoundary"})
"""Actions whose `iam:PermissionsBoundary` is the boundary in the request; for all others it is the role's."""


_EVENTS_ROLE: Final = (
    f"arn:aws:iam::{settings.ACCOUNT_ID}:role/aws-service-role/events.amazonaws.com/AWSServiceRoleForCloudWatchEvents"
)


def needs_of(service: str, action: str, region: str, parameters: Mapping[str, Any]) -> Iterator[Need]:
    """Yield the rights that the caller must have."""
    contexts = list(_contexts(service, action, region, parameters))
    for resource in resources_of(service, action, region, parameters):
        for context in contexts:
            yield Need(action=iam_action(service, action), resource=resource, context=context)
    for key, context in decryptions(service, region, parameters):
        yield Need(action="kms:Decrypt", resource=key, context=context)
    if action == "PutMetricAlarm" and ":automate:" in str(parameters):
        # CloudWatch makes the role with which it carries out EC2's actions for the caller (API_PutMetricAlarm).
        context = {"iam:awsservicename": "events.amazonaws.com"}
        yield Need(action="iam:CreateServiceLinkedRole", resource=_EVENTS_ROLE, context=context)
    for role in _passed_roles(service, action, parameters):
        yield Need(action="iam:PassRole", resource=role, context={"iam:passedtoservice": "ec2.amazonaws.com"})


def _contexts(service: str, action: str, region: str, parameters: Mapping[str, Any]) -> Iterator[Context]:
    """Yield the condition keys of each resource of the call: at least one set, which may be empty."""
    if service == "iam":
        role = None if action in _OF_THE_REQUEST else role_named(str(parameters.get("RoleName")))
        boundary = role.permissions_boundary_arn if role else parameters.get("PermissionsBoundary")
        yield {"iam:permissionsboundary": boundary or None}
    elif service == "ec2":
        backend: EC2Backend = ec2_backends[settings.ACCOUNT_ID][region]
        # The query protocol numbers the items of a list: InstanceId.1, InstanceId.2.
        ids = [str(value) for name, value in parameters.items() if name.partition(".")[0] == "InstanceId"]
        for instance_id in ids or [""]:
            association = backend.iam_instance_profile_associations.get(instance_id)
            yield {"ec2:instanceprofile": association.iam_instance_profile.arn if association else None}
    elif service == "monitoring":
        yield {
            "cloudwatch:namespace": parameters.get("Namespace") if action == "PutMetricData" else None,
            "cloudwatch:alarmactions": _alarm_actions(parameters) if action == "PutMetricAlarm" else None,
        }
    else:
        yield {}


def _alarm_actions(parameters: Mapping[str, Any]) -> list[str]:
    """Return what an alarm does: in JSON a list, in the query protocol a parameter for each."""
    found: list[str] = []
    for name, value in parameters.items():
        if name.partition(".")[0] == "AlarmActions":
            found += value if isinstance(value, list) else [str(value)]
    return found


def _passed_roles(service: str, action: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ARN of each role that a call passes to EC2."""
    if (service, action) == ("iam", "AddRoleToInstanceProfile"):
        role = role_named(str(parameters.get("RoleName")))
        yield from [role.arn] if role else []
    elif (service, action) == ("ec2", "RunInstances"):
        name_or_arn = parameters.get("IamInstanceProfile.Arn") or parameters.get("IamInstanceProfile.Name")
        profile = instance_profile(str(name_or_arn)) if name_or_arn else None
        yield from (role.arn for role in profile.roles) if profile else ()
