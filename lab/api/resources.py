"""The ARNs of the resources that a call names: SSM parameters, IAM roles and instance profiles.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from collections.abc import Iterator, Mapping

from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, InstanceProfile, Role, iam_backends

from lab import settings

_ACCOUNT = f"arn:aws:iam::{settings.ACCOUNT_ID}:"


def resources_of(service: str, action: str, region: str, parameters: Mapping[str, object]) -> Iterator[str]:
    """Yield the ARNs of the resources that a call names; `*` if it names none, and for every call of EC2."""
    if service == "ssm":
        values = (parameters.get("Name"), parameters.get("Path"), *_listed(parameters.get("Names")))
        values += (parameters.get("ResourceId"),)
        names = [str(value) for value in values if value and action != "DescribeParameters"]
        yield from (parameter_arn(region, name) for name in names)
        if names:
            return
    if service == "iam":
        yield _of_iam(parameters)
        return
    yield str(parameters.get("RoleArn") or "*") if service == "sts" else "*"


def _of_iam(parameters: Mapping[str, object]) -> str:
    # AddRoleToInstanceProfile names both; its resource is the profile.
    profile_name, role_name = parameters.get("InstanceProfileName"), parameters.get("RoleName")
    path = str(parameters.get("Path") or "/")
    if profile_name:
        profile = instance_profile(str(profile_name))
        return profile.arn if profile else f"{_ACCOUNT}instance-profile{path}{profile_name}"
    if role_name:
        role = role_named(str(role_name))
        return role.arn if role else f"{_ACCOUNT}role{path}{role_name}"
    return "*"


def role_named(name: str) -> Role | None:
    """Return the role with a name, or None."""
    try:
        return _iam().get_role(name)
    except NotFoundException:
        return None


def instance_profile(name_or_arn: str) -> InstanceProfile | None:
    """Return the instance profile with a name or ARN, or None."""
    profiles = _iam().get_instance_profiles()
    return next((profile for profile in profiles if name_or_arn in (profile.name, profile.arn)), None)


def _iam() -> IAMBackend:
    backend: IAMBackend = iam_backends[settings.ACCOUNT_ID]["aws"]
    return backend


def _listed(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def parameter_arn(region: str, name: str) -> str:
    """Return the ARN of an SSM parameter that a call names by its ARN or by its name."""
    if name.startswith("arn:"):
        return name
    account = "" if name.startswith("/aws/service/") else settings.ACCOUNT_ID
    path = name.partition(":")[0].removeprefix("/")  # a version or label may follow
    return f"arn:aws:ssm:{region}:{account}:parameter/{path}"
