"""Building the engine, with a fake `go`."""

import json
import os
from pathlib import Path

import pytest

from lab import settings
from lab.engine import build, golang, real
from lab.engine.build import ensure_engine
from lab.engine.errors import EngineError
from lab.engine.versions import PACKAGES, plugin_version

FAKE_GO = """#!/bin/sh
case "$1" in
env) echo go1.99.0 ;;
list) echo "{module}" ;;
build)
    echo "$@" "CGO_ENABLED=$CGO_ENABLED GOTOOLCHAIN=$GOTOOLCHAIN GOSUMDB=$GOSUMDB" >>"{calls}"
    while [ "$1" != -o ]; do shift; done
    {build}
    ;;
esac
"""
WRITES_AN_ENGINE = """printf '#!/bin/sh\\necho v%s\\n' "{version}" >"$2"; chmod +x "$2" """


class Workshop:
    """A folder with a fake `go` on PATH, and its results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        (folder / "module" / "python" / "cmd").mkdir(parents=True)
        (folder / "module" / "python" / "cmd" / "pulumi-language-python-exec").write_text("the executor")
        self.go(WRITES_AN_ENGINE.format(version="3.250.0"))

    def go(self, build_command: str) -> None:
        """Set the shell command that `go build` runs; $2 is the output file."""
        path = self.folder / "go"
        path.write_text(FAKE_GO.format(module=self.folder / "module", calls=self.folder / "calls", build=build_command))
        path.chmod(0o755)

    def ensure(self) -> build.Engine:
        """Provide the engine and keep its status lines."""
        return ensure_engine(self.lines.append)

    def builds(self) -> list[str]:
        """Return the command line and environment of every `go build` so far."""
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    for name in ("BIN", "CACHE", "LOGS", "PULUMI_HOME"):
        monkeypatch.setattr(settings, name, tmp_path / "lab" / name.lower())
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "go.mod").write_text(
        "module m\n\ngo 1.25.11\n\nrequire (\n\tgithub.com/pulumi/pulumi/pkg/v3 v3.250.0\n)\n"
    )
    (modules / "go.sum").write_text("sums\n")
    monkeypatch.setattr(build, "MODULES", modules)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULUMI_HOME", raising=False)
    return Workshop(tmp_path)


def test_the_engine_is_built_once_with_its_language_hosts_in_the_same_folder(workshop: Workshop) -> None:
    engine = workshop.ensure()
    workshop.ensure()
    assert engine == build.Engine(settings.BIN / "pulumi", "3.250.0", is_built=True)
    assert sorted(each.name for each in settings.BIN.iterdir()) == [
        "pulumi",
        "pulumi-language-go",
        "pulumi-language-nodejs",
        "pulumi-language-python",
        "pulumi-language-python-exec",
        "pulumi-language-yaml",
    ]
    assert (settings.BIN / "pulumi-language-python-exec").read_text() == "the executor"
    (command,) = workshop.builds()
    assert "-trimpath" in command
    assert "-mod=readonly" in command
    assert "version.Version=v3.250.0" in command
    assert command.endswith("CGO_ENABLED=0 GOTOOLCHAIN=local GOSUMDB=off")


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_a_change_of_the_modules_causes_another_build(workshop: Workshop, name: str) -> None:
    workshop.ensure()
    with (build.MODULES / name).open("a") as file:
        file.write("// changed\n")
    workshop.ensure()
    assert len(workshop.builds()) == 2


def test_a_binary_that_is_not_the_last_builds_is_replaced(workshop: Workshop) -> None:
    engine = workshop.ensure()
    engine.path.write_bytes(b"half of an engine")
    workshop.ensure()
    assert len(workshop.builds()) == 2
    assert os.access(engine.path, os.X_OK)


def test_a_binary_in_place_of_a_launcher_is_replaced(workshop: Workshop) -> None:
    workshop.ensure()
    host = settings.BIN / "pulumi-language-python"
    script = host.read_text()
    host.write_bytes(b"\x7fELF\xff\xfe")
    workshop.ensure()
    assert host.read_text() == script


def test_a_failed_build_names_its_log_and_keeps_the_old_engine(workshop: Workshop) -> None:
    engine = workshop.ensure()
    before = engine.path.read_bytes()
    (build.MODULES / "go.sum").write_text("other sums\n")
    workshop.go("printf half >$2; echo 'dial tcp: no route to host' >&2; exit 1")
    with pytest.raises(EngineError, match=r"no route to host.*engine-build\.log.*GOPROXY") as error:
        workshop.ensure()
    assert "\n" not in str(error.value)
    assert engine.path.read_bytes() == before
    assert [each.name for each in settings.BIN.iterdir() if each.name.startswith(".")] == []
    workshop.go(WRITES_AN_ENGINE.format(version="3.250.0"))
    workshop.ensure()
    assert len(workshop.builds()) == 3


def test_an_engine_of_another_version_than_required_is_refused(workshop: Workshop) -> None:
    workshop.go(WRITES_AN_ENGINE.format(version="0.0.0"))
    with pytest.raises(EngineError, match=r"reports version 'v0\.0\.0', not 'v3\.250\.0'"):
        workshop.ensure()
    assert not (settings.BIN / "pulumi").exists()


def test_if_the_go_on_path_is_too_old_the_one_in_the_virtual_environment_is_used(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = workshop.folder / "venv" / "bin" / "go"
    wheel.parent.mkdir(parents=True)
    (workshop.folder / "go").rename(wheel)
    (workshop.folder / "go").write_text("#!/bin/sh\necho go1.25.9\n")
    (workshop.folder / "go").chmod(0o755)
    monkeypatch.setattr("sys.prefix", str(workshop.folder / "venv"))
    assert golang.find("1.25.11") == golang.Go(wheel, "go1.99.0")


def test_without_a_usable_go_the_error_lists_those_found(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", str(workshop.folder / "nothing"))
    with pytest.raises(EngineError, match=r"needs Go 1\.100 or newer: .*/go is go1\.99\.0\. Run `make setup`"):
        golang.find("1.100")


def install_real(folder: Path, version: str, home: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in (("pulumi", f"echo v{version}"), ("pulumi-language-python", "")):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    for package in PACKAGES:
        plugin = home / "plugins" / f"resource-{package}-v{plugin_version(package)}" / f"pulumi-resource-{package}"
        plugin.parent.mkdir(parents=True)
        plugin.touch(0o755)


def test_a_complete_real_pulumi_is_used_and_reported(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.ensure()
    install_real(workshop.folder / "real", "3.272.0", Path(os.environ["HOME"], ".pulumi"))
    monkeypatch.setenv("PATH", f"{settings.BIN}:{workshop.folder / 'real'}:{os.environ['PATH']}")
    # As in a shell after `lab env`, which sets PULUMI_HOME to a folder with stand-ins.
    monkeypatch.setenv("PULUMI_HOME", str(settings.PULUMI_HOME))
    workshop.lines.clear()
    engine = workshop.ensure()
    assert engine == build.Engine(workshop.folder / "real" / "pulumi", "3.272.0", is_built=False)
    assert (settings.BIN / "pulumi").resolve() == engine.path
    assert not (settings.BIN / "pulumi-language-python").exists()
    (line,) = workshop.lines
    assert "3.272.0" in line
    assert str(engine.path) in line


@pytest.mark.parametrize("lacks", ["version", "text", "host", "plugin", "whole plugin"])
def test_an_incomplete_real_pulumi_is_not_used(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    folder, home = workshop.folder / "real", workshop.folder / "pulumi-home"
    install_real(folder, "3.237.9" if lacks == "version" else "3.238.0", home)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_HOME", str(home))
    plugin = home / "plugins" / f"resource-aws-v{plugin_version('aws')}"
    if lacks == "text":
        (folder / "pulumi").write_text("#!/bin/sh\nprintf '\\377'\n")
    if lacks == "host":
        (folder / "pulumi-language-python").unlink()
    if lacks == "plugin":
        plugin.rename(plugin.with_name("resource-aws-v7.0.0"))
    if lacks == "whole plugin":
        plugin.with_name(f"{plugin.name}.partial").touch()
    assert real.find() is None


def test_the_engine_is_built_again_when_the_real_pulumi_is_no_longer_used(workshop: Workshop) -> None:
    workshop.ensure()
    (settings.BIN / "pulumi").unlink()
    (settings.BIN / "pulumi").symlink_to("/bin/true")
    engine = workshop.ensure()
    assert engine.is_built
    assert not engine.path.is_symlink()
    assert len(workshop.builds()) == 2


def test_the_stamp_records_the_go_release(workshop: Workshop) -> None:
    workshop.ensure()
    assert json.loads((settings.CACHE / "engine.json").read_text())["go"] == "go1.99.0"


def test_the_locked_engine_has_the_version_of_the_sdk() -> None:
    from importlib.metadata import version  # noqa: PLC0415 - read where it is compared

    assert build.wanted_version() == version("pulumi")
