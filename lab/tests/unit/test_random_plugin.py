"""The stand-in for `random`, without an engine."""

import base64
import string
from typing import Any

import bcrypt
import pytest

from lab.resource_plugins.base import UNKNOWN, Call, Resource
from lab.resource_plugins.random import binary, text

CALL = Call("random:index/randomBytes:RandomBytes", "key", None, 60)


def create(resource: Resource, **inputs: Any) -> tuple[str, dict[str, Any]]:
    assert resource.check is None or isinstance(resource.check(CALL, inputs), dict)
    created = resource.create(CALL, resource.with_defaults(inputs))
    assert isinstance(created, tuple)
    return created


def problems(resource: Resource, **inputs: Any) -> Any:
    assert resource.check is not None
    return resource.check(CALL, inputs)


def test_base64_and_hex_of_random_bytes_are_the_same_value_which_differs_each_time() -> None:
    _, first = create(binary.BYTES, length=32)
    _, second = create(binary.BYTES, length=32)
    assert base64.b64decode(first["base64"]) == bytes.fromhex(first["hex"])
    assert len(bytes.fromhex(first["hex"])) == 32
    assert first != second


def test_the_id_of_random_bytes_is_their_base64_as_in_the_real_plugin() -> None:
    resource_id, outputs = create(binary.BYTES, length=16)
    assert resource_id == outputs["base64"]
    assert set(binary.BYTES.secret_outputs) == {"base64", "hex"}


def test_random_bytes_are_imported_by_their_base64() -> None:
    assert binary.read_bytes(CALL, "AAEC/w==", {}) == {"length": 4, "base64": "AAEC/w==", "hex": "000102ff"}
    assert binary.read_bytes(CALL, "AAEC/w==", {"length": 4}) == {}


@pytest.mark.parametrize("text", ["not base64!", ""])
def test_a_text_that_is_not_base64_cannot_be_imported_and_is_not_in_the_error(text: str) -> None:
    with pytest.raises(ValueError, match="imported by their base64 text") as caught:
        binary.read_bytes(CALL, text, {})
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("length", [0, -1, 1.5, "x"])
def test_a_length_below_one_is_refused(length: Any) -> None:
    assert problems(binary.BYTES, length=length)[0][0] == "length"


def test_an_unknown_length_is_accepted_in_a_preview() -> None:
    assert problems(binary.BYTES, length=UNKNOWN) == {"length": UNKNOWN}
    assert problems(text.PASSWORD, length=UNKNOWN) == {"length": UNKNOWN}


def test_the_prefix_is_in_every_output_but_not_in_the_id() -> None:
    resource_id, outputs = create(binary.ID, byteLength=8, prefix="gw-")
    assert outputs["b64Url"] == f"gw-{resource_id}"
    value = bytes.fromhex(outputs["hex"].removeprefix("gw-"))
    assert base64.b64decode(outputs["b64Std"].removeprefix("gw-")) == value
    assert int(outputs["dec"].removeprefix("gw-")) == int.from_bytes(value)


def test_an_id_is_imported_with_its_prefix() -> None:
    resource_id, outputs = create(binary.ID, byteLength=5, prefix="a,b")
    assert binary.read_id(CALL, f"a,b,{resource_id}", {}) == {"byteLength": 5, "prefix": "a,b", **outputs}


def test_a_password_has_the_minimum_of_each_class_and_none_of_a_disabled_class() -> None:
    _, outputs = create(text.PASSWORD, length=12, minUpper=3, minNumeric=4, minLower=1, special=False)
    result = outputs["result"]
    assert len(result) == 12
    assert sum(each in string.ascii_uppercase for each in result) >= 3
    assert sum(each in string.digits for each in result) >= 4
    assert not set(result) & set(text.SPECIAL)


def test_the_special_characters_of_a_password_can_be_overridden() -> None:
    off = {"upper": False, "lower": False, "numeric": False}
    assert set(create(text.PASSWORD, length=40, overrideSpecial="_-", **off)[1]["result"]) <= {"_", "-"}


def test_the_id_of_a_password_is_a_constant_and_its_hash_is_bcrypt() -> None:
    resource_id, outputs = create(text.PASSWORD, length=80)
    assert resource_id == "none"
    assert bcrypt.checkpw(outputs["result"].encode()[:72], outputs["bcryptHash"].encode())
    assert set(text.PASSWORD.secret_outputs) == {"result", "bcryptHash"}


def test_a_string_is_its_own_id_and_not_secret() -> None:
    resource_id, outputs = create(text.STRING, length=9)
    assert resource_id == outputs["result"]
    assert not text.STRING.secret_outputs


def test_number_is_the_old_name_of_numeric() -> None:
    assert problems(text.STRING, length=9, number=False)["numeric"] is False


@pytest.mark.parametrize(
    ("inputs", "what"),
    [
        ({"length": 3, "minUpper": 2, "minLower": 2}, "less than 4"),
        ({"length": 3, "upper": False, "lower": False, "numeric": False, "special": False}, "no characters"),
    ],
)
def test_an_impossible_password_is_refused(inputs: dict[str, Any], what: str) -> None:
    assert what in problems(text.PASSWORD, **inputs)[0][1]


@pytest.mark.parametrize("resource", [binary.BYTES, binary.ID, text.PASSWORD, text.STRING])
def test_every_change_replaces(resource: Resource) -> None:
    assert resource.update is None
    assert "keepers" in resource.inputs
