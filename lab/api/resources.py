"""The ARNs of the resources that a call names: SSM parameters, IAM roles and profiles, alarms and dashboards.

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
    if service == "monitoring":
        yield from _of_cloudwatch(action, region, parameters)
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


def _of_cloudwatch(action: str, region: str, parameters: Mapping[str, object]) -> Iterator[str]:
    if parameters.get("ResourceARN"):
        yield str(parameters["ResourceARN"])
    elif action == "DescribeAlarms":
        # Names only filter the answer: the right is that on all alarms.
        yield alarm_arn(region, "*")
    elif alarms := _named(parameters, "AlarmName"):
        yield from (alarm_arn(region, name) for name in alarms)
    elif dashboards := _named(parameters, "DashboardName"):
        yield from (f"arn:aws:cloudwatch::{settings.ACCOUNT_ID}:dashboard/{name}" for name in dashboards)
    else:
        yield "*"


def _named(parameters: Mapping[str, object], key: str) -> list[str]:
    """Return the values of `key` and of the list `keys`, whose items the query protocol numbers: Keys.member.1."""
    listed = parameters.get(f"{key}s")
    numbered = [value for name, value in parameters.items() if name.startswith(f"{key}s.member.")]
    return [str(value) for value in (parameters.get(key), *_listed(listed), *numbered) if value]


def alarm_arn(region: str, name: str) -> str:
    """Return the ARN of a CloudWatch alarm."""
    return f"arn:aws:cloudwatch:{region}:{settings.ACCOUNT_ID}:alarm:{name}"


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
