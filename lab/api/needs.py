"""The rights that a call takes: its action on each resource, and what AWS then does in the caller's name.

Condition keys are those that somebody who bounds a deployer writes. Source:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html and
…/list_amazonec2.html
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from moto.ec2.models import EC2Backend, ec2_backends

from lab import settings
from lab.api.authorization import Need
from lab.api.decryption import decryptions
from lab.api.policies import Context
from lab.api.resources import instance_profile, resources_of, role_named

_OF_THE_REQUEST: Final = frozenset({"CreateRole", "PutRolePermissionsBoundary"})
"""Actions whose `iam:PermissionsBoundary` is the one asked for; of all others it is the one that the role has."""


def needs_of(service: str, action: str, region: str, parameters: Mapping[str, Any]) -> Iterator[Need]:
    """Yield what the caller has to be allowed."""
    contexts = list(_contexts(service, action, region, parameters))
    for resource in resources_of(service, action, region, parameters):
        for context in contexts:
            yield Need(action=f"{service}:{action}", resource=resource, context=context)
    for key, of_key in decryptions(service, region, parameters):
        yield Need(action="kms:Decrypt", resource=key, context=of_key)
    for role in _passed_roles(service, action, parameters):
        yield Need(action="iam:PassRole", resource=role, context={"iam:passedtoservice": "ec2.amazonaws.com"})


def _contexts(service: str, action: str, region: str, parameters: Mapping[str, Any]) -> Iterator[Context]:
    """Yield the condition keys of each resource that has them; at least one set."""
    if service == "iam":
        role = None if action in _OF_THE_REQUEST else role_named(str(parameters.get("RoleName")))
        boundary = role.permissions_boundary_arn if role else parameters.get("PermissionsBoundary")
        yield {"iam:permissionsboundary": boundary or None}
    elif service == "ec2":
        backend: EC2Backend = ec2_backends[settings.ACCOUNT_ID][region]
        # A list is flat: InstanceId.1.
        ids = [str(value) for name, value in parameters.items() if name.partition(".")[0] == "InstanceId"]
        associations = [backend.iam_instance_profile_associations.get(each) for each in ids or [""]]
        for each in associations:
            yield {"ec2:instanceprofile": each.iam_instance_profile.arn if each else None}
    else:
        yield {}


def _passed_roles(service: str, action: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ARN of each role that a call hands to EC2."""
    if (service, action) == ("iam", "AddRoleToInstanceProfile"):
        role = role_named(str(parameters.get("RoleName")))
        yield from [role.arn] if role else []
    elif (service, action) == ("ec2", "RunInstances"):
        asked = parameters.get("IamInstanceProfile.Arn") or parameters.get("IamInstanceProfile.Name")
        profile = instance_profile(str(asked)) if asked else None
        yield from (passed.arn for passed in profile.roles) if profile else ()
