"""Installation of the resource plugins."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from lab.engine import real
from lab.engine.plugins import install_plugins
from lab.engine.real import RealEngine
from lab.engine.versions import PACKAGES, plugin_version


@pytest.fixture
def _no_real_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "find", lambda: None)


def sdk_version(package: str) -> str:
    spec = find_spec(f"pulumi_{package}")
    assert spec is not None
    assert spec.origin is not None
    return str(json.loads((Path(spec.origin).parent / "pulumi-plugin.json").read_text())["version"])


@pytest.mark.usefixtures("_no_real_engine")
def test_every_plugin_is_installed_in_the_version_that_its_sdk_requires(tmp_path: Path) -> None:
    installed = install_plugins(tmp_path)
    assert [str(each.relative_to(tmp_path / "plugins")) for each in installed] == [
        f"resource-{package}-v{sdk_version(package)}/pulumi-resource-{package}"
        for package in ("aws", "command", "random", "tls")
    ]


@pytest.mark.usefixtures("_no_real_engine")
def test_a_launcher_runs_the_stand_in_from_any_folder(tmp_path: Path) -> None:
    launcher = next(each for each in install_plugins(tmp_path / "home") if "random" in each.name)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("raise SystemExit('taken from the working directory')\n")
    process = subprocess.Popen(
        [launcher, "127.0.0.1:1"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.usefixtures("_no_real_engine")
def test_a_version_that_an_earlier_sdk_required_is_removed(tmp_path: Path) -> None:
    old = tmp_path / "plugins" / "resource-aws-v6.0.0"
    other = tmp_path / "plugins" / "resource-awsx-v2.0.0"
    old.mkdir(parents=True)
    other.mkdir()
    install_plugins(tmp_path)
    install_plugins(tmp_path)
    assert not old.exists()
    assert other.exists()


def test_the_plugins_of_a_real_pulumi_are_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = {}
    for package in PACKAGES:
        plugins[package] = tmp_path / f"pulumi-resource-{package}"
        plugins[package].touch()
    monkeypatch.setattr(real, "find", lambda: RealEngine(tmp_path / "pulumi", "3.260.0", plugins))
    installed = install_plugins(tmp_path / "home")
    assert [each.resolve() for each in installed] == list(plugins.values())


def test_a_missing_sdk_is_reported_with_the_remedy() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pulumi_absent is not installed.*make setup"):
        plugin_version("absent")
