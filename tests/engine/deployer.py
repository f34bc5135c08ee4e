"""A role that has only the rights of a documented policy. The lab's API refuses it what AWS would refuse."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tests.engine.api_process import ApiProcess
from tests.engine.changes import KMS_KEY
from tests.engine.deployer_policy import WITH_A_KEY
from tests.engine.released import aws_environment
from tests.generated import ROOT

ROLE: Final = "deployer-of-the-test"
_TRUST: Final = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


@contextmanager
def deployer(api: ApiProcess, policy: str, regions: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the environment of a role with the policy in the file `policy`, for these regions instead of the article's.

    The role also has the documented rights on `KMS_KEY` and may assume the role `deployer`. It is deleted afterwards.
    """
    iam, sts = (api.client(service, regions[0]) for service in ("iam", "sts"))
    statements = json.loads((ROOT / policy).read_text())["Statement"]
    for statement in statements:
        if "aws:RequestedRegion" in statement.get("Condition", {}).get("StringEquals", {}):
            statement["Condition"]["StringEquals"]["aws:RequestedRegion"] = list(regions)
    key = {"Effect": "Allow", "Action": list(WITH_A_KEY), "Resource": KMS_KEY}
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/deployer"}
    arn = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_document(_TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="documented", PolicyDocument=_document(*statements, key, assume))
    try:
        yield {**aws_environment(api), **_credentials(sts.assume_role(RoleArn=arn, RoleSessionName="deployer"))}
    finally:
        iam.delete_role_policy(RoleName=ROLE, PolicyName="documented")
        iam.delete_role(RoleName=ROLE)


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _credentials(answer: Mapping[str, Any]) -> dict[str, str]:
    issued = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": issued["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": issued["SecretAccessKey"],
        "AWS_SESSION_TOKEN": issued["SessionToken"],
    }
