"""Proves that the wheel contains everything that the package needs, under one distinct name. Takes seconds."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from lab.engine import real
from tests.consumer_types import type_errors

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

PROGRAM = """
import sys
from importlib import import_module
import vpn_gateway_pair as package

assert package.__file__.startswith(sys.argv[1]), package.__file__
assert {"components", "userdata"}.isdisjoint(sys.modules)
tunnel = import_module("vpn_gateway_pair.decisions.tunnel")
user_data = import_module("vpn_gateway_pair.user_data")
secrets = import_module("vpn_gateway_pair.decisions.secrets")
uk = tunnel.End(site="uk", public_ip="192.0.2.1", private_ip="10.1.1.254", cidr_blocks=("10.1.0.0/16",))
au = tunnel.End(site="au", public_ip="192.0.2.2", private_ip="10.2.1.254", cidr_blocks=("10.2.0.0/16",))
files = user_data.gateway_files(
    local=uk, site_cidr_blocks=uk.cidr_blocks, administrator_cidr_blocks=(),
    connections=[tunnel.connect(uk, au, package.TunnelProfile.MODERN, postquantum=False)],
    secrets=secrets.GivenSecrets(psk="fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip", ppk=None, host_private_key="key"),
    host_public_key="ssh-ed25519 AAAA",
)
print(user_data.cloud_config("uk-gateway", files))
assert "/usr/local/bin/vpn-verify" in [file.path for file in user_data.proof_files()]
print("version", import_module("vpn_gateway_pair.plugin.provider").version())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from a copy of its sources, because a build writes beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("components", "userdata"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "venv"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "-w", "out"]
    argv = [sys.executable, "-m", "pip", "wheel", "-q", *options, "."]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = (folder / "out").glob("*.whl")
    return built


def test_the_wheel_contains_all_files_of_both_packages_and_none_of_the_lab(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "components", "userdata"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    wanted = {re.sub("^components/", "vpn_gateway_pair/", each) for each in listed}
    wanted = {re.sub("^userdata/", "vpn_gateway_pair/userdata/", each) for each in wanted}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == wanted
    assert "vpn_gateway_pair/py.typed" in packed
    assert wheel.name == f"vpn_gateway_pair-{VERSION}-py3-none-any.whl"


def test_the_installed_package_renders_user_data_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(installed)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("#cloud-config\n")
    assert 'hostname: "uk-gateway"' in done.stdout
    assert done.stdout.endswith(f"version {VERSION}\n")


CONSUMER = """
from vpn_gateway_pair import VpnGatewayPair

pair = VpnGatewayPair(
    "office",
    {
        "left": {"name": "uk", "region": "eu-west-2", "cidr_block": "10.1.0.0/16"},
        "right": {"name": "au", "region": "ap-southeast-2", "cidr_block": "172.31.0.0/16"},
    },
)
reveal_type(pair.left["vpc_id"])
"""


def test_mypy_knows_the_types_of_arguments_and_outputs_in_a_consumers_program(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    program = tmp_path / "program" / "consumer.py"
    program.parent.mkdir()
    program.write_text(CONSUMER)
    right = type_errors(program, "vpn_gateway_pair", tmp_path / "installed")
    program.write_text(CONSUMER.replace('"region": "eu-west-2"', '"regio": "eu-west-2"'))
    wrong = type_errors(program, "vpn_gateway_pair", tmp_path / "installed")
    assert "error" not in right
    assert 'Revealed type is "pulumi.output.Output[str]"' in right
    assert 'Missing key "region" for TypedDict "SiteArgs"' in wrong
    assert 'Extra key "regio" for TypedDict "SiteArgs"' in wrong


def test_every_project_file_declares_the_same_minimum_version_of_pulumi() -> None:
    files = ("Pulumi.yaml", "components/PulumiPlugin.yaml", "templates/vpn-gateway-pair-python/Pulumi.yaml")
    declared = {yaml.safe_load((ROOT / file).read_text())["requiredPulumiVersion"] for file in files}
    assert declared == {">=3.238.0"}
    # Otherwise the lab would choose an older `pulumi` on PATH, which then refuses the project.
    assert declared == {f">={'.'.join(map(str, real.OLDEST))}"}


OLD_PYTHON = """
import sys
import pulumi

sys.version_info, sys.version, sys.executable = (3, 10, 13), "3.10.13 (main)", "/usr/bin/python3"
try:
    import components
except pulumi.RunError as error:
    print(error)
print([name for name in sys.modules if name.startswith("components.")])
"""
"""Pulumi prints a RunError without a traceback, and any other exception with one."""


def test_an_old_python_is_refused_in_one_sentence_before_anything_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", OLD_PYTHON], cwd=ROOT, capture_output=True, text=True, check=True)
    refusal, imported = done.stdout.splitlines()
    assert refusal == (
        "vpn-gateway-pair needs Python 3.11 or newer, and /usr/bin/python3 is 3.10.13: put a newer python3 first in "
        "PATH, remove the project's virtual environment, and run `pulumi install`"
    )
    assert imported == "[]"
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert declared == ">=3.11"
    ast.parse((ROOT / "components/__init__.py").read_text(), feature_version=(3, 8))
