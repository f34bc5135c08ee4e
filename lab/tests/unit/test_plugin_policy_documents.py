"""Policy documents of the stand-in for `aws`, compared with the real plugin's text."""

import json
from typing import Any

from lab.resource_plugins.aws.iam.documents import same_document
from lab.resource_plugins.aws.policy_documents import policy_document


def statements(**arguments: Any) -> list[Any]:
    return list(json.loads(policy_document(arguments)["json"])["Statement"])


def test_a_document_has_the_layout_of_the_real_plugin() -> None:
    document = policy_document({"statements": [{"sid": "Read", "actions": ["ssm:GetParameter"], "resources": ["*"]}]})
    assert document["json"] == (
        '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {\n      "Sid": "Read",\n      "Effect": "Allow",\n'
        '      "Action": "ssm:GetParameter",\n      "Resource": "*"\n    }\n  ]\n}'
    )
    assert json.loads(document["minifiedJson"]) == json.loads(document["json"])


def test_principals_of_one_type_are_joined_and_conditions_are_grouped_by_test() -> None:
    merged = statements(
        statements=[
            {
                "actions": ["sts:AssumeRole"],
                "principals": [
                    {"type": "Service", "identifiers": ["ec2.amazonaws.com"]},
                    {"type": "AWS", "identifiers": ["1", "2"]},
                ],
                "conditions": [
                    {"test": "StringEquals", "variable": "aws:a", "values": ["x"]},
                    {"test": "StringEquals", "variable": "aws:b", "values": ["y", "x"]},
                ],
            }
        ]
    )
    assert merged[0]["Principal"] == {"AWS": ["2", "1"], "Service": "ec2.amazonaws.com"}
    assert merged[0]["Condition"] == {"StringEquals": {"aws:a": "x", "aws:b": ["y", "x"]}}


def test_an_override_replaces_the_statement_with_its_sid_and_a_source_comes_first() -> None:
    def document(sid: str, action: str) -> str:
        return str(policy_document({"statements": [{"sid": sid, "actions": [action], "resources": ["*"]}]})["json"])

    merged = statements(
        sourcePolicyDocuments=[document("Source", "a:A")],
        statements=[{"sid": "Own", "actions": ["b:B"], "resources": ["*"]}],
        overridePolicyDocuments=[document("Own", "c:C"), document("New", "d:D")],
    )
    assert [(each["Sid"], each["Action"]) for each in merged] == [("Source", "a:A"), ("Own", "c:C"), ("New", "d:D")]


def test_documents_are_the_same_in_any_layout_but_differ_with_another_effect() -> None:
    one = '{"Statement": [{"Effect": "Allow", "Action": ["a:A", "b:B"], "Resource": ["*"]}]}'
    assert same_document(one, '{"Statement":{"Action":["b:B","a:A"],"Effect":"Allow","Resource":"*"}}')
    assert not same_document(one, one.replace("Allow", "Deny"))
    assert not same_document(one, "no JSON")
