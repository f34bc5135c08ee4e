"""Proves that the schema that other languages see says all that the components' documentation says, and is committed.

Does not prove that SDKs made of it work: tests/engine/test_examples.py.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.inputs.arguments import SECRETS, camel_case
from components.plugin.provider import provider
from components.plugin.schema import described, properties
from docs.generate import ROOT, generated

GENERATED = generated()
SCHEMA: dict[str, Any] = json.loads(provider().schema or "")


def owners() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("resources", "types"):
        yield from SCHEMA[kind].items()


DEFINITIONS = [(f"{token}.{name}", name, each) for token, owner in owners() for name, each in properties(owner)]


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_made_of_the_code_is_committed_as_it_is_made(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    committed = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    made = GENERATED[path].splitlines(keepends=True)
    difference = "".join(difflib.unified_diff(committed, made, f"{name} (committed)", f"{name} (of the code)"))
    assert not difference, f"{difference}\nIf that is what you mean: `make generated`, and commit it like an API change"


def test_everything_in_the_schema_has_a_description_without_pythons_indentation() -> None:
    texts = {path: each.get("description") for path, _, each in DEFINITIONS}
    texts |= {token: owner.get("description") for token, owner in owners()}
    texts |= {
        f"{token}.{each['value']}": each.get("description")
        for token, owner in owners()
        for each in owner.get("enum", [])
    }
    assert len(texts) > 60
    assert [path for path, text in texts.items() if not text or text != text.strip() or "\n    " in text] == []


def test_every_argument_that_may_be_left_out_says_what_it_is_then() -> None:
    listed = [
        (token, owner["inputProperties"], owner["requiredInputs"]) for token, owner in SCHEMA["resources"].items()
    ]
    listed += [
        (token, owner["properties"], owner.get("required", ()))
        for token, owner in SCHEMA["types"].items()
        if "Args" in token
    ]
    texts = {
        f"{token}.{name}": each["description"]
        for token, arguments, required in listed
        for name, each in arguments.items()
        if name not in required
    }
    assert len(texts) > 20
    assert [path for path, text in texts.items() if not re.search(r"Default:\s|^Public part of ", text)] == []


def test_what_is_called_secret_is_secret_in_the_schema_and_nothing_else_is() -> None:
    called = {path for path, _, each in DEFINITIONS if "; secret" in each["description"]}
    marked = {path for path, _, each in DEFINITIONS if each.get("secret")}
    assert called == marked
    assert {name for _, name, each in DEFINITIONS if each.get("secret")} == set(map(camel_case, SECRETS))


def test_a_closed_set_of_values_is_an_enum_wherever_it_is_an_argument() -> None:
    choices = {"profile": "TunnelProfile", "secretDelivery": "SecretDelivery"}
    for component in SCHEMA["resources"].values():
        for name, kind in choices.items():
            assert component["inputProperties"][name]["$ref"] == f"#/types/vpn-gateway-pair:index:{kind}"
    values = {
        name: [each["value"] for each in SCHEMA["types"][f"vpn-gateway-pair:index:{name}"]["enum"]]
        for name in choices.values()
    }
    assert values == {"TunnelProfile": ["modern", "article-2014"], "SecretDelivery": ["ssm", "user-data"]}


def test_names_in_texts_are_written_as_the_schema_writes_them_and_other_words_are_left_alone() -> None:
    analyzed = {
        "resources": {},
        "types": {
            "p:index:T": {
                "properties": {"cidrBlock": {"description": "`cidr_block`, not `tcp_mtu_probing`.\n    Two."}}
            }
        },
    }
    schema = described(analyzed, description="d", license_name="l", inherited={})
    assert schema["types"]["p:index:T"]["properties"]["cidrBlock"] == {
        "description": "`cidrBlock`, not `tcp_mtu_probing`.\nTwo."
    }


def test_objects_in_a_list_are_not_plain_or_go_sdks_would_not_compile() -> None:
    peers = SCHEMA["resources"]["vpn-gateway-pair:index:VpnGateway"]["inputProperties"]["peers"]
    assert peers["items"] == {"$ref": "#/types/vpn-gateway-pair:index:PeerArgs"}
    texts = SCHEMA["types"]["vpn-gateway-pair:index:PeerArgs"]["properties"]["cidrBlocks"]
    assert texts["items"] == {"type": "string", "plain": True}
