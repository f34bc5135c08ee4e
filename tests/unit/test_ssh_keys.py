"""Proves which SSH keys are taken, with keys of ssh-keygen and openssl in every format. Shows no private key."""

import subprocess
from pathlib import Path

import pytest

from components.inputs.ssh_keys import key_problems
from tests.unit.gateway_documents import HOST_KEY, PUBLIC_KEY

RSA = ("-t", "rsa", "-b", "2048")
"""Smaller than the default of ssh-keygen, whose keys take a second each."""


def made(folder: Path, *options: str, passphrase: str = "") -> tuple[str, str]:
    """Return both halves of a key that ssh-keygen makes with these options."""
    path = folder / "key"
    path.unlink(missing_ok=True)
    argv = ["ssh-keygen", "-q", "-C", "büro", "-N", passphrase, "-f", str(path), *options]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path.read_text(), path.with_suffix(".pub").read_text()


def pkcs8(folder: Path, algorithm: str, *options: str) -> str:
    argv = ["openssl", "genpkey", "-algorithm", algorithm, "-out", str(folder / "pem"), *options]
    subprocess.run(argv, check=True, capture_output=True)
    return (folder / "pem").read_text()


def public_of(folder: Path, private: str) -> str:
    path = folder / "private"
    path.touch(mode=0o600)
    path.write_text(private)
    argv = ["ssh-keygen", "-y", "-f", str(path)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def rules(private: str | None, public: str | None, *, host: bool = False) -> list[str]:
    problems = key_problems("ssh_private_key", private, "ssh_public_key", public, host=host)
    assert all(problem.value in {"(secret)", "…"} and problem.remedy for problem in problems)
    assert not private or private not in str(problems)
    return [f"{problem.setting} {problem.rule}" for problem in problems]


@pytest.mark.parametrize("options", [("-t", "ed25519"), RSA, (*RSA, "-m", "PEM")])
def test_both_halves_of_a_key_are_taken_and_of_two_keys_are_not(tmp_path: Path, options: tuple[str, ...]) -> None:
    private, public = made(tmp_path, *options)
    _, other = made(tmp_path, *options)
    assert rules(private, public) == rules(private.replace("\n", "\r\n"), f" {public}\n") == rules(private, None) == []
    for stranger in (other, PUBLIC_KEY):
        assert rules(private, stranger) == ["ssh_private_key is not the private half of the public key beside it"]


@pytest.mark.parametrize(("algorithm", "options"), [("ed25519", ()), ("RSA", ("-pkeyopt", "rsa_keygen_bits:2048"))])
def test_pkcs8_is_taken_as_far_as_it_says_whose_it_is(tmp_path: Path, algorithm: str, options: tuple[str, ...]) -> None:
    private = pkcs8(tmp_path, algorithm, *options)
    if algorithm == "RSA":
        assert rules(private, public_of(tmp_path, private)) == []
        assert rules(private, PUBLIC_KEY)
    else:
        assert rules(private, PUBLIC_KEY) == []  # it has no public half in it
    assert rules(private, made(tmp_path, *RSA)[1])
    assert rules(private, None, host=True) == ["ssh_private_key is not in OpenSSH's own format"]


@pytest.mark.parametrize("options", [("-t", "ed25519"), RSA, (*RSA, "-m", "PEM"), (*RSA, "-m", "PKCS8")])
def test_a_passphrase_is_refused(tmp_path: Path, options: tuple[str, ...]) -> None:
    private, public = made(tmp_path, *options, passphrase="hush hush")  # noqa: S106 - of this test
    for half in (public, None):
        assert rules(private, half) == ["ssh_private_key has a passphrase, and a deployment cannot ask for it"]


@pytest.mark.parametrize(
    ("private", "rule"),
    [
        ("", "is not a private key in OpenSSH or PEM format"),
        (PUBLIC_KEY, "is not a private key in OpenSSH or PEM format"),
        (HOST_KEY[:200], "is not a private key in OpenSSH or PEM format"),
        (HOST_KEY.replace("AAAAB", "AAAAC", 1), "is incomplete, or contains other text"),
        (
            "\n".join(line for n, line in enumerate(HOST_KEY.splitlines()) if n != 3),
            "is incomplete, or contains other text",
        ),
        (HOST_KEY.replace("OPENSSH", "EC"), "is not a private key for ed25519 or RSA"),
    ],
)
def test_what_is_no_private_key_is_refused(private: str, rule: str) -> None:
    assert rules(private, PUBLIC_KEY) == [f"ssh_private_key {rule}"]


@pytest.mark.parametrize(
    "public",
    [
        "",
        "ssh-rsa AAAA",
        "ssh-ed25519 AAAA",
        PUBLIC_KEY.replace("AAAAC3", "AAAAB3"),
        PUBLIC_KEY.replace("ssh-ed25519", "ssh-rsa"),
        PUBLIC_KEY[:-4],
        f"{PUBLIC_KEY} comment\n{PUBLIC_KEY}",
        "ssh-dss AAAAB3NzaC1kc3M=",
        HOST_KEY,
    ],
)
def test_what_is_no_public_key_is_refused_without_being_shown(public: str) -> None:
    assert rules(HOST_KEY, public) == ["ssh_public_key is not one line of an SSH public key"]


def test_a_host_key_is_ed25519_in_opensshs_own_format(tmp_path: Path) -> None:
    assert rules(HOST_KEY, PUBLIC_KEY, host=True) == []
    private, public = made(tmp_path, *RSA)
    assert rules(private, public, host=True) == ["ssh_public_key is not one line of an SSH public key"]
