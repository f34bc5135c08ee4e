"""What the IAM resources share."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from lab.resource_plugins.aws.common import code_of, session_of, tag_list
from lab.resource_plugins.base import Call, Input, Properties

GONE = "NoSuchEntity"
NAME = Input(replaces=True, computed=True)


def client(call: Call) -> Any:
    """Return the IAM client."""
    return session_of(call).client("iam")


def get_or_none(operation: Callable[..., Mapping[str, Any]], key: str, **arguments: Any) -> Any:
    """Return `key` of a response; None when the entity does not exist."""
    try:
        return operation(**arguments)[key]
    except ClientError as error:
        if code_of(error) == GONE:
            return None
        raise


def tags_argument(inputs: Properties) -> dict[str, Any]:
    """Return the argument that tags a new entity; empty without tags."""
    return {"Tags": tag_list(inputs["tags"])} if inputs.get("tags") else {}
