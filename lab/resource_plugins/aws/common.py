"""What the AWS resources share: a region, tags, errors that mean "does not exist", and operations that are retried."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from botocore.exceptions import ClientError

from lab.resource_plugins.aws.session import Session
from lab.resource_plugins.base import Call, Input, Properties, Resource, TimedOutError

T = TypeVar("T")

FIXED = Input(replaces=True)
"""A change replaces the resource."""
CHOSEN = Input(computed=True)
"""AWS chooses a value when the program sets none."""
FIXED_CHOSEN = Input(replaces=True, computed=True)
NEEDED = Input(replaces=True, required=True)
"""Required, and a change replaces the resource."""

RetagHandler: TypeAlias = Callable[[Call, str, Properties, Sequence[str], Mapping[str, str]], None]


def session_of(call: Call) -> Session:
    """Return the session of the provider that handles a call."""
    session: Session = call.configuration
    return session


def region_of(call: Call, properties: Mapping[str, Any]) -> str:
    """Return the region of a resource: its own `region`, or its provider's."""
    return properties.get("region") or session_of(call).region


def ec2(call: Call, properties: Mapping[str, Any]) -> Any:
    """Return the EC2 client for a resource's region."""
    return session_of(call).client("ec2", region_of(call, properties))


def code_of(error: ClientError) -> str:
    """Return AWS's error code, e.g. `InvalidVpcID.NotFound`."""
    return str(error.response["Error"]["Code"])


@contextmanager
def ignoring_errors(*codes: str) -> Iterator[None]:
    """Ignore API errors with one of `codes`, which mean that the resource to delete does not exist."""
    try:
        yield
    except ClientError as error:
        if code_of(error) not in codes:
            raise


def first(
    operation: Callable[..., Mapping[str, Any]], key: str, gone: Collection[str] = (), **arguments: Any
) -> Properties | None:
    """Return the first element of the list `key` in a response; None for an empty list or an error code in `gone`."""
    try:
        elements = operation(**arguments)[key]
    except ClientError as error:
        if code_of(error) in gone:
            return None
        raise
    return dict(elements[0]) if elements else None


def retry(call: Call, what: str, action: Callable[[], T], codes: Collection[str], *, text: str = "") -> T:
    """Repeat `action` while it fails with one of `codes`, and `text` in the message, until the call's timeout.

    Then raises the API's last error.
    """
    errors: list[ClientError] = []

    def attempt() -> list[T] | None:
        try:
            return [action()]
        except ClientError as error:
            if code_of(error) not in codes or text not in str(error):
                raise
            errors.append(error)
            return None

    try:
        return call.wait_until(what, attempt)[0]
    except TimedOutError as error:
        raise errors[-1] from error


def filters(**criteria: str | Sequence[str]) -> list[dict[str, Any]]:
    """Return EC2 filters. In the names an underscore stands for a hyphen, a double underscore for a dot."""
    return [
        {
            "Name": name.replace("__", ".").replace("_", "-"),
            "Values": [value] if isinstance(value, str) else list(value),
        }
        for name, value in criteria.items()
    ]


def tag_specifications(kind: str, tags: Mapping[str, str] | None) -> dict[str, Any]:
    """Return the argument that tags a new EC2 resource of `kind`; empty without tags."""
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tag_list(tags)}]} if tags else {}


def tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Return tags in the form of the API."""
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def tags_read(call: Call, tags: Iterable[Mapping[str, str]] | None) -> Properties:
    """Return the properties `tags` and `tagsAll` for tags in the form of the API."""
    own = session_of(call).own_tags({tag["Key"]: tag["Value"] for tag in tags or ()})
    return {"tags": own, "tagsAll": own}


def retag_ec2(
    call: Call, resource_id: str, state: Properties, removed: Sequence[str], added: Mapping[str, str]
) -> None:
    """Change the tags of an EC2 resource, by the id that the API uses."""
    if removed:
        ec2(call, state).delete_tags(Resources=[resource_id], Tags=[{"Key": key} for key in removed])
    if added:
        ec2(call, state).create_tags(Resources=[resource_id], Tags=tag_list(added))


def regional(resource: Resource) -> Resource:
    """Add the argument `region`, which every regional resource returns and which cannot change."""

    def plan(call: Call, inputs: Properties, state: Properties) -> Properties:
        planned = resource.plan(call, inputs, state) if resource.plan else {}
        return {**planned, "region": region_of(call, {**state, **inputs})}

    def read(call: Call, resource_id: str, state: Properties) -> Properties | None:
        if not state and "@" in resource_id:  # an id for import may have a region: vpc-1234@eu-west-2
            own_id, _, region = resource_id.rpartition("@")
            outputs = read(call, own_id, {"region": region})
            return None if outputs is None else {"id": own_id, **outputs}
        outputs = resource.read(call, resource_id, state) if resource.read else {}
        return None if outputs is None else {**outputs, "region": region_of(call, state)}

    return replace(resource, inputs={**resource.inputs, "region": FIXED_CHOSEN}, plan=plan, read=read)


def tagged(resource: Resource, retag: RetagHandler = retag_ec2) -> Resource:
    """Add `tags` and `tagsAll`. The provider's default tags are added to the program's, and tags change in place."""

    def check(call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
        checked = resource.check(call, inputs) if resource.check else inputs
        tags = {} if isinstance(checked, list) else checked.get("tags") or {}
        if isinstance(checked, list) or not isinstance(tags, dict):
            return checked
        merged = {**session_of(call).default_tags, **tags}
        return {**checked, "tags": merged} if merged else checked

    def plan(call: Call, inputs: Properties, state: Properties) -> Properties:
        planned = resource.plan(call, inputs, state) if resource.plan else {}
        return {**planned, "tagsAll": inputs.get("tags") or {}}

    def update(
        call: Call, resource_id: str, state: Properties, inputs: Properties, changed: frozenset[str]
    ) -> Properties | None:
        if "tags" in changed:
            old, new = state.get("tags") or {}, inputs.get("tags") or {}
            added = {key: value for key, value in new.items() if old.get(key) != value}
            retag(call, resource_id, state, sorted(old.keys() - new.keys()), added)
        others = changed - {"tags"}
        return resource.update(call, resource_id, state, inputs, others) if resource.update and others else None

    return replace(
        resource,
        inputs={**resource.inputs, "tags": Input()},
        outputs=(*resource.outputs, "tagsAll"),
        check=check,
        plan=plan,
        update=update,
    )


def ec2_resource(resource: Resource) -> Resource:
    """Return a regional, tagged EC2 resource."""
    return regional(tagged(resource))
