"""`aws.iam.getPolicyDocument`: the JSON of a policy, composed without a call of AWS."""

import json
from typing import Any
from zlib import crc32

from lab.resource_plugins.base import Call, Function, Properties

_VERSION = "2012-10-17"


def _single(values: list[str]) -> Any:
    """Return the element of a list of one, and a longer list in descending order, as the real provider does."""
    return values[0] if len(values) == 1 else sorted(values, reverse=True)


def _principals(blocks: list[Properties]) -> Any:
    if blocks == [{"type": "*", "identifiers": ["*"]}]:
        return "*"
    merged: dict[str, list[str]] = {}
    for block in blocks:
        merged.setdefault(block["type"], []).extend(block["identifiers"])
    return {kind: _single(identifiers) for kind, identifiers in sorted(merged.items())}


def _conditions(blocks: list[Properties]) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, list[str]]] = {}
    for block in blocks:
        merged.setdefault(block["test"], {}).setdefault(block["variable"], []).extend(block["values"])
    # The values of a condition keep the program's order, unlike identifiers, which are sorted.
    return {
        test: {variable: values[0] if len(values) == 1 else values for variable, values in sorted(variables.items())}
        for test, variables in sorted(merged.items())
    }


def _statement(statement: Properties) -> Properties:
    lists = {"actions": "Action", "notActions": "NotAction", "resources": "Resource", "notResources": "NotResource"}
    principals = {"principals": "Principal", "notPrincipals": "NotPrincipal"}
    return {
        **({"Sid": statement["sid"]} if statement.get("sid") else {}),
        "Effect": statement.get("effect") or "Allow",
        **{name: _single(statement[key]) for key, name in lists.items() if statement.get(key)},
        **{name: _principals(statement[key]) for key, name in principals.items() if statement.get(key)},
        **({"Condition": _conditions(statement["conditions"])} if statement.get("conditions") else {}),
    }


def _merge(sources: list[Properties], own: list[Properties], overrides: list[Properties]) -> list[Properties]:
    """Merge statements. An override replaces the statement with the same Sid; all others are added."""
    merged = [*sources, *own]
    for override in overrides:
        same = [
            index for index, each in enumerate(merged) if override.get("Sid") and each.get("Sid") == override["Sid"]
        ]
        if same:
            merged[same[0]] = override
        else:
            merged.append(override)
    return merged


def _statements(documents: list[str]) -> list[Properties]:
    statements = []
    for document in documents:
        content = json.loads(document)["Statement"] if document else []
        statements += content if isinstance(content, list) else [content]
    return statements


def policy_document(arguments: Properties) -> Properties:
    """Return the document of the statements, merged with the source and override documents."""
    document = {
        "Version": arguments.get("version") or _VERSION,
        **({"Id": arguments["policyId"]} if arguments.get("policyId") else {}),
        "Statement": _merge(
            _statements(arguments.get("sourcePolicyDocuments") or []),
            [_statement(each) for each in arguments.get("statements") or []],
            _statements(arguments.get("overridePolicyDocuments") or []),
        ),
    }
    text = json.dumps(document, indent=2)
    return {
        **arguments,
        "id": str(crc32(text.encode())),
        "json": text,
        "minifiedJson": json.dumps(document, separators=(",", ":")),
        "version": document["Version"],
    }


def _get_policy_document(_call: Call, arguments: Properties) -> Properties:
    return policy_document(arguments)


FUNCTIONS = (Function("aws:iam/getPolicyDocument:getPolicyDocument", _get_policy_document),)
