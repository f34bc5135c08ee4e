"""Decide whether IAM policies allow an action on a resource. Pure.

A condition that this module does not know is decided against the caller.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

Document = Mapping[str, Any]
_PREFIXES = {"monitoring": "cloudwatch"}
"""Signing name of a service -> the prefix of its IAM actions, where they differ."""

Context = Mapping[str, str | Sequence[str] | None]
"""Condition keys of the request, in lower case, e.g. `aws:requestedregion`. None: the request has no such key.

A key with several values has a sequence of them.
"""

_EACH = "ForAllValues:"

_OPERATORS = frozenset(
    {f"{kind}{rule}" for kind in ("String", "Arn") for rule in ("Equals", "Like", "NotEquals", "NotLike")}
    | {"IpAddress", "NotIpAddress"}
)


def iam_action(service: str, action: str) -> str:
    """Return the IAM action of a call, e.g. `cloudwatch:PutMetricData`; `service` is the signing name."""
    return f"{_PREFIXES.get(service, service)}:{action}"


def is_allowed(documents: Iterable[str], action: str, resource: str, context: Context) -> bool:
    """Return whether a statement allows `action` on `resource` and none denies it.

    `documents` are policies as JSON. An unknown condition operator or key never matches in an Allow and always matches
    in a Deny, so that the lab is never more generous than AWS.
    """
    allowed = False
    for document in documents:
        for statement in _statements(json.loads(document)):
            deny = statement.get("Effect") == "Deny"
            if not _concerns(statement, action, resource):
                continue
            if not _conditions_hold(statement.get("Condition") or {}, context, unknown=deny):
                continue
            if deny:
                return False
            allowed = True
    return allowed


def trusts(document: str, principal_type: str, principals: Iterable[str]) -> bool:
    """Return whether a trust policy lets one of `principals` of a type (`Service`, `AWS`) assume the role."""
    names = set(principals)
    for statement in _statements(json.loads(document)):
        if statement.get("Effect") != "Allow" or not _matches_any(statement.get("Action"), "sts:AssumeRole"):
            continue
        principal = statement.get("Principal")
        if principal == "*":
            return True
        if isinstance(principal, Mapping) and names & set(_values(principal.get(principal_type))):
            return True
    return False


def _statements(document: Document) -> Iterator[Document]:
    statements = document.get("Statement") or []
    yield from [statements] if isinstance(statements, Mapping) else statements


def _concerns(statement: Document, action: str, resource: str) -> bool:
    if "NotAction" in statement:
        action_matches = not _matches_any(statement["NotAction"], action, ignore_case=True)
    else:
        action_matches = _matches_any(statement.get("Action"), action, ignore_case=True)
    if "NotResource" in statement:
        return action_matches and not _matches_any(statement["NotResource"], resource)
    return action_matches and _matches_any(statement.get("Resource"), resource)


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context, *, unknown: bool) -> bool:
    for operator, tests in conditions.items():
        for key, expected in tests.items():
            name = key.lower()
            holds = _condition_holds(operator, context[name], _values(expected)) if name in context else None
            if not (unknown if holds is None else holds):
                return False
    return True


def _condition_holds(operator: str, actual: str | Sequence[str] | None, expected: list[str]) -> bool | None:
    if operator.startswith(_EACH):
        # It holds without any value, too.
        found = [_condition_holds(operator.removeprefix(_EACH), each, expected) for each in _values(actual)]
        return None if None in found else all(found)
    if actual is not None and not isinstance(actual, str):
        return None
    plain = operator.removesuffix("IfExists")
    if plain not in _OPERATORS:
        return None
    negative = "Not" in plain
    if actual is None:
        # A key that the request lacks equals no value: a negative operator holds, and any operator with IfExists.
        return negative or plain != operator
    return any(_matches(plain, each, actual) for each in expected) != negative


def _matches(operator: str, expected: str, actual: str) -> bool:
    if operator.endswith("IpAddress"):
        return ip_address(actual) in ip_network(expected)
    return _pattern(expected).fullmatch(actual) is not None if operator.endswith("Like") else actual == expected


def _matches_any(patterns: Any, value: str, *, ignore_case: bool = False) -> bool:
    flags = re.IGNORECASE if ignore_case else 0
    return any(_pattern(pattern, flags).fullmatch(value) for pattern in _values(patterns))


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]


@lru_cache(maxsize=1024)
def _pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    wildcards = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wildcards.get(character) or re.escape(character) for character in text), flags | re.DOTALL
    )
