"""Policies of a role: inline ones, and attached managed ones."""

from botocore.exceptions import ClientError

from lab.resource_plugins.aws.common import NEEDED, code_of, ignoring_errors
from lab.resource_plugins.aws.iam.api import GONE, NAME, client, get_or_none
from lab.resource_plugins.aws.iam.documents import POLICY, document_text
from lab.resource_plugins.base import Call, Properties, Resource


def _put_policy(call: Call, inputs: Properties) -> str:
    role, name = inputs["role"], inputs["name"]
    client(call).put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=inputs["policy"])
    return f"{role}:{name}"


def _read_policy(call: Call, resource_id: str, _state: Properties) -> Properties | None:
    role, name = resource_id.split(":", 1)
    try:
        policy = client(call).get_role_policy(RoleName=role, PolicyName=name)
    except ClientError as error:
        if code_of(error) == GONE:
            return None
        raise
    return {"role": policy["RoleName"], "name": policy["PolicyName"], "policy": document_text(policy["PolicyDocument"])}


def _update_policy(call: Call, _id: str, _state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    _put_policy(call, inputs)


def _delete_policy(call: Call, resource_id: str, _state: Properties) -> None:
    role, name = resource_id.split(":", 1)
    with ignoring_errors(GONE):
        client(call).delete_role_policy(RoleName=role, PolicyName=name)


ROLE_POLICY = Resource(
    "aws:iam/rolePolicy:RolePolicy",
    {"name": NAME, "role": NEEDED, "policy": POLICY},
    _put_policy,
    _read_policy,
    _update_policy,
    _delete_policy,
    auto_name="name",
    name_length=128,
)


def _create_attachment(call: Call, inputs: Properties) -> str:
    role, arn = inputs["role"], inputs["policyArn"]
    client(call).attach_role_policy(RoleName=role, PolicyArn=arn)
    return f"{role}/{arn}"


def _read_attachment(call: Call, resource_id: str, _state: Properties) -> Properties | None:
    role, arn = resource_id.split("/", 1)
    attached = get_or_none(client(call).list_attached_role_policies, "AttachedPolicies", RoleName=role) or []
    return {"role": role, "policyArn": arn} if any(policy["PolicyArn"] == arn for policy in attached) else None


def _delete_attachment(call: Call, resource_id: str, _state: Properties) -> None:
    role, arn = resource_id.split("/", 1)
    with ignoring_errors(GONE):
        client(call).detach_role_policy(RoleName=role, PolicyArn=arn)


ROLE_POLICY_ATTACHMENT = Resource(
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    {"role": NEEDED, "policyArn": NEEDED},
    _create_attachment,
    _read_attachment,
    delete=_delete_attachment,
)

RESOURCES = (ROLE_POLICY, ROLE_POLICY_ATTACHMENT)
