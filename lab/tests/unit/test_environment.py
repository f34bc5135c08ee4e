"""The environment of the lab's commands, and the lines that `lab env` prints."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lab import environment, settings


@pytest.fixture(autouse=True)
def _state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "STATE", tmp_path / "it's .lab")
    monkeypatch.setattr(settings, "BACKEND", tmp_path / "it's .lab" / "state")
    monkeypatch.setattr(settings, "BIN", tmp_path / "it's .lab" / "bin")


def test_variables_that_could_reach_real_aws_are_removed() -> None:
    dangerous = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/admin",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/token",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_ENDPOINT_URL_EC2": "https://ec2.example.com",
    }
    result = environment.variables({"HOME": "/root", "AWS_ACCESS_KEY_ID": "real", **dangerous})
    assert result.keys().isdisjoint(dangerous)
    assert result["AWS_ACCESS_KEY_ID"] == "test"
    assert result["AWS_ENDPOINT_URL"] == settings.API_URL
    assert result["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert result["HOME"] == "/root"


def test_a_shell_that_evaluates_the_lines_gets_the_environment_of_the_labs_commands() -> None:
    inherited = {"PATH": "/usr/bin:/bin", "AWS_PROFILE": "production", "PULUMI_CONFIG_PASSPHRASE": "mine", "A": "b c"}
    lines = environment.export_lines(inherited)
    output = subprocess.run(
        ["/bin/sh", "-c", f"{lines}\nenv -0"], env=inherited, capture_output=True, text=True, check=True
    ).stdout
    evaluated = dict(each.split("=", 1) for each in output.rstrip("\0").split("\0"))
    expected = environment.variables(inherited)
    assert {name: value for name, value in evaluated.items() if name not in {"PWD", "SHLVL", "_"}} == expected


def test_the_labs_commands_come_first_on_path_and_evaluating_twice_changes_nothing() -> None:
    once = environment.variables({"PATH": "/usr/bin:/bin"})
    assert once["PATH"] == f"{settings.BIN}:/usr/bin:/bin"
    assert environment.variables(once) == once


def test_the_passphrase_fits_the_salt_in_the_checkout() -> None:
    """Otherwise the first command on every machine would write another salt into Pulumi.lab.yaml."""
    path = Path(environment.variables({})["PULUMI_CONFIG_PASSPHRASE_FILE"])
    salt = yaml.safe_load((settings.ROOT / "Pulumi.lab.yaml").read_text())["encryptionsalt"]
    version, key_salt, _, nonce, ciphertext = salt.split(":")
    assert version == "v1"
    key = hashlib.pbkdf2_hmac("sha256", path.read_bytes(), base64.b64decode(key_salt), 1_000_000, 32)
    assert AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(ciphertext), None) == b"pulumi"


def test_the_emulated_api_is_reached_without_a_proxy_and_the_users_exceptions_stay() -> None:
    result = environment.variables({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "example.com,localhost"})
    assert result["NO_PROXY"] == "example.com,localhost,127.0.0.1"
    assert result["no_proxy"] == "127.0.0.1,localhost"
