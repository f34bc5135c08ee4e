"""The ARNs that a call is about: SSM parameters, and IAM's roles and instance profiles.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Iterator, Mapping

from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, InstanceProfile, Role, iam_backends

from lab import settings

_ACCOUNT = f"arn:aws:iam::{settings.ACCOUNT_ID}:"


def resources_of(service: str, action: str, region: str, parameters: Mapping[str, object]) -> Iterator[str]:
    """Yield the ARNs that a call is about; `*` for one that is about no resource, and for all of EC2."""
    if service == "ssm":
        given = (parameters.get("Name"), parameters.get("Path"), *_listed(parameters.get("Names")))
        given += (parameters.get("ResourceId"),)
        names = [str(name) for name in given if name and action != "DescribeParameters"]
        yield from (parameter_arn(region, name) for name in names)
        if names:
            return
    if service == "iam":
        yield _of_iam(parameters)
        return
    yield str(parameters.get("RoleArn") or "*") if service == "sts" else "*"


def _of_iam(parameters: Mapping[str, object]) -> str:
    # AddRoleToInstanceProfile has both names, and is about the profile.
    profile, role = parameters.get("InstanceProfileName"), parameters.get("RoleName")
    path = str(parameters.get("Path") or "/")
    if profile:
        found = instance_profile(str(profile))
        return found.arn if found else f"{_ACCOUNT}instance-profile{path}{profile}"
    if role:
        existing = role_named(str(role))
        return existing.arn if existing else f"{_ACCOUNT}role{path}{role}"
    return "*"


def role_named(name: str) -> Role | None:
    """Return the role of that name, or None."""
    try:
        return _iam().get_role(name)
    except NotFoundException:
        return None


def instance_profile(name_or_arn: str) -> InstanceProfile | None:
    """Return the instance profile of that name or ARN, or None."""
    found = (each for each in _iam().get_instance_profiles() if name_or_arn in (each.name, each.arn))
    return next(found, None)


def _iam() -> IAMBackend:
    backend: IAMBackend = iam_backends[settings.ACCOUNT_ID]["aws"]
    return backend


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def parameter_arn(region: str, name: str) -> str:
    """Return the ARN of the SSM parameter that a call names, by its ARN or by name, with a version maybe."""
    if name.startswith("arn:"):
        return name
    account = "" if name.startswith("/aws/service/") else settings.ACCOUNT_ID
    path = name.partition(":")[0].removeprefix("/")  # a version or label may follow
    return f"arn:aws:ssm:{region}:{account}:parameter/{path}"
