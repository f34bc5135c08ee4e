"""The stand-in for `tls`, without an engine; ssh-keygen(1) confirms its results."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key, load_ssh_private_key

from lab.resource_plugins.base import UNKNOWN, Call
from lab.resource_plugins.tls.private_key import GET_PUBLIC_KEY, PRIVATE_KEY

CALL = Call("tls:index/privateKey:PrivateKey", "key", None, 60)

KINDS: list[dict[str, Any]] = [
    {"algorithm": "ED25519"},
    {"algorithm": "RSA"},
    {"algorithm": "ECDSA", "ecdsaCurve": "P256"},
    {"algorithm": "ECDSA", "ecdsaCurve": "P384"},
    {"algorithm": "ECDSA", "ecdsaCurve": "P521"},
]


def create(**inputs: Any) -> tuple[str, dict[str, Any]]:
    created = PRIVATE_KEY.create(CALL, PRIVATE_KEY.with_defaults(inputs))
    assert isinstance(created, tuple)
    return created


def keygen(*arguments: str) -> str:
    return subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("inputs", KINDS, ids=lambda inputs: "-".join(inputs.values()))
def test_all_formats_are_of_the_same_key_and_end_with_a_newline(inputs: dict[str, Any], tmp_path: Path) -> None:
    _, outputs = create(**inputs)
    public = load_pem_public_key(outputs["publicKeyPem"].encode())
    for name, load in (
        ("privateKeyPem", load_pem_private_key),
        ("privateKeyPemPkcs8", load_pem_private_key),
        ("privateKeyOpenssh", load_ssh_private_key),
    ):
        assert load(outputs[name].encode(), None).public_key() == public
        assert outputs[name].endswith("-----\n")
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_text(outputs["privateKeyOpenssh"])
    assert keygen("-y", "-f", str(file)).split()[:2] == outputs["publicKeyOpenssh"].split()
    assert outputs["publicKeyOpenssh"].endswith("\n")
    file.write_text(outputs["publicKeyOpenssh"])
    assert keygen("-l", "-f", str(file)).split()[1] == outputs["publicKeyFingerprintSha256"]
    assert keygen("-l", "-E", "md5", "-f", str(file)).split()[1] == f"MD5:{outputs['publicKeyFingerprintMd5']}"


@pytest.mark.parametrize(
    ("inputs", "header"),
    [
        ({"algorithm": "ED25519"}, "PRIVATE KEY"),
        ({"algorithm": "RSA"}, "RSA PRIVATE KEY"),
        (KINDS[2], "EC PRIVATE KEY"),
    ],
)
def test_the_pem_is_the_algorithms_own(inputs: dict[str, Any], header: str) -> None:
    _, outputs = create(**inputs)
    assert outputs["privateKeyPem"].startswith(f"-----BEGIN {header}-----\n")
    assert outputs["privateKeyPemPkcs8"].startswith("-----BEGIN PRIVATE KEY-----\n")


def test_the_default_curve_p224_has_no_ssh_formats() -> None:
    _, outputs = create(algorithm="ECDSA")
    names = ("privateKeyOpenssh", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256")
    assert [outputs[name] for name in names] == ["", "", "", ""]


def test_rsa_bits_are_honoured() -> None:
    key = load_pem_private_key(create(algorithm="RSA", rsaBits=3072)[1]["privateKeyPem"].encode(), None)
    assert getattr(key, "key_size") == 3072  # noqa: B009 - the loader's type is a union


def test_private_keys_are_secret_and_every_change_replaces() -> None:
    assert set(PRIVATE_KEY.secret_outputs) == {"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"}
    assert PRIVATE_KEY.update is None


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ({"algorithm": "DSA"}, "algorithm"),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P255"}, "ecdsaCurve"),
        ({"algorithm": "RSA", "rsaBits": 512}, "rsaBits"),
    ],
)
def test_unsupported_kinds_of_keys_are_refused(inputs: dict[str, Any], where: str) -> None:
    assert PRIVATE_KEY.check is not None
    problems = PRIVATE_KEY.check(CALL, inputs)
    assert isinstance(problems, list)
    assert [each for each, _ in problems] == [where]
    assert PRIVATE_KEY.check(CALL, {"algorithm": UNKNOWN}) == {"algorithm": UNKNOWN}


@pytest.mark.parametrize("form", ["privateKeyPem", "privateKeyOpenssh"])
def test_the_public_key_of_a_private_key_is_returned(form: str) -> None:
    resource_id, outputs = create(algorithm="ED25519")
    result = GET_PUBLIC_KEY.handler(CALL, {form: outputs[form]})
    assert result["id"] == resource_id
    assert result["algorithm"] == "ED25519"
    assert result["publicKeyOpenssh"] == outputs["publicKeyOpenssh"]
    assert form in GET_PUBLIC_KEY.secret_outputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "given neither"),
        ({"privateKeyPem": "a", "privateKeyOpenssh": "b"}, "given privateKeyPem and privateKeyOpenssh"),
        ({"privateKeyPem": "no key"}, "privateKeyPem is not a private key"),
    ],
)
def test_a_key_that_cannot_be_read_is_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GET_PUBLIC_KEY.handler(CALL, arguments)
