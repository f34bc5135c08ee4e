"""The Python language host, without an engine: its decisions, and its gRPC methods."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.processes import Children
from lab.language_hosts.base.protocol import language_pb2, language_pb2_grpc
from lab.language_hosts.python.environment import PythonEnvironment, resolve
from lab.language_hosts.python.host import PythonHost
from lab.language_hosts.python.installation import install
from lab.language_hosts.python.plugin_dependency import dependency_of, semantic_version

ROOT = Path("/project")
FOLDER = Path("/project/program")

EXECUTOR = """
import json, os, sys
with open(os.environ["SEEN"], "w") as file:
    json.dump({"arguments": sys.argv[1:], "config": os.environ["PULUMI_CONFIG"],
               "secret": os.environ["PULUMI_CONFIG_SECRET_KEYS"], "folder": os.getcwd()}, file)
sys.exit(int(os.environ["CODE"]))
"""


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.3", "1.2.3"),
        ("1", "1.0.0"),
        ("2.14.0a16", "2.14.0-alpha.16"),
        ("2.14.0b1", "2.14.0-beta.1"),
        ("2.14rc3", "2.14.0-rc.3"),
        ("1.2.3.post4.dev5", "1.2.3+post4dev5"),
        ("1!2.3", None),
        ("latest", None),
    ],
)
def test_a_package_version_becomes_a_plugin_version(version: str, expected: str | None) -> None:
    assert semantic_version(version) == expected


def test_the_plugin_files_name_and_version_override_the_distributions() -> None:
    plugin = {"resource": True, "name": "other", "version": "9.8.7", "server": "https://example.com"}
    dependency = dependency_of({"name": "pulumi-example", "version": "1.0", "plugin": plugin})
    assert (dependency.name, dependency.kind, dependency.version, dependency.server) == (
        "other",
        "resource",
        "v9.8.7",
        "https://example.com",
    )


def test_a_distribution_named_like_a_plugin_needs_that_plugin_even_without_a_plugin_file() -> None:
    dependency = dependency_of({"name": "pulumi-example", "version": "1.0", "plugin": None})
    assert (dependency.name, dependency.version) == ("example", "v1.0.0")


def test_a_package_whose_plugin_file_denies_a_plugin_needs_none() -> None:
    assert dependency_of({"name": "pulumi-example", "version": "1.0", "plugin": {"resource": False}}) is None


def test_this_process_and_another_interpreter_list_the_same_plugins() -> None:
    ambient = PythonEnvironment(ROOT, "pip", None)
    other = PythonEnvironment(ROOT, "pip", Path(sys.prefix))
    assert ambient.python == Path(sys.executable)
    versions = {each["name"]: each["plugin"]["version"] for each in ambient.pulumi_packages()}
    assert versions.keys() == {"pulumi-aws", "pulumi-command", "pulumi-random", "pulumi-tls"}
    assert other._list("plugins") == ambient.pulumi_packages()


def test_no_process_is_started_to_list_the_environment_that_runs_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(sys, "executable", f"{sys.executable}-by-another-name")
    monkeypatch.setattr(subprocess, "run", never)
    own = PythonEnvironment(ROOT, "pip", Path(sys.prefix))
    assert own.version() == platform.python_version()
    assert own.pulumi_packages()


def test_the_distributions_that_others_require_are_marked() -> None:
    required = {each["name"]: each["required"] for each in PythonEnvironment(ROOT, "pip", None).distributions()}
    assert required["pulumi"] is True
    assert required["vpn-gateway-pair-lab"] is False


@pytest.mark.parametrize(
    ("options", "is_plugin", "expected"),
    [
        ({}, False, None),
        ({"toolchain": "pip"}, False, None),
        ({"virtualenv": "venv"}, False, ROOT / "venv"),
        ({"virtualenv": "/elsewhere/venv"}, False, Path("/elsewhere/venv")),
        ({}, True, ROOT / "venv"),
        ({"toolchain": "uv"}, False, FOLDER / ".venv"),
        ({"toolchain": "uv", "virtualenv": "venv"}, False, ROOT / "venv"),
    ],
)
def test_the_virtual_environment_follows_from_the_options(
    options: dict[str, str], is_plugin: bool, expected: Path | None
) -> None:
    assert resolve(ROOT, FOLDER, options, is_plugin=is_plugin).virtual_environment == expected


def test_a_lock_file_above_the_program_chooses_uv(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").touch()
    (tmp_path / "program").mkdir()
    environment = resolve(tmp_path, tmp_path / "program", {}, is_plugin=False)
    assert (environment.toolchain, environment.virtual_environment) == ("uv", tmp_path / ".venv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"toolchain": "poetry"}, "toolchain 'poetry' is not supported .* use one of pip, uv"),
        ({"virtualenv": 3.0}, "'virtualenv' must be a string, not 3.0"),
        ({"typechecker": "mypy"}, "'typechecker' is not supported"),
    ],
)
def test_an_unsupported_option_is_refused_with_its_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(EnvironmentUnusableError, match=message):
        resolve(ROOT, FOLDER, options, is_plugin=False)


def test_processes_get_the_variables_of_an_activated_virtual_environment() -> None:
    environment = PythonEnvironment(ROOT, "pip", Path("/project/venv"))
    result = environment.variables({"PATH": "/usr/bin", "PYTHONHOME": "/opt/python", "KEPT": "yes"})
    assert result == {"PATH": "/project/venv/bin:/usr/bin", "VIRTUAL_ENV": "/project/venv", "KEPT": "yes"}


PRETENDED_PYTHON = """#!/bin/sh
echo "ran $*"
if [ "$2" = venv ]; then
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
fi
"""


def test_an_installation_runs_once_and_again_when_the_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").write_text(PRETENDED_PYTHON)
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setenv("PULUMI_PYTHON_CMD", str(tmp_path / "python"))
    environment = PythonEnvironment(tmp_path, "pip", tmp_path / "venv")

    def ran() -> list[str]:
        output = b"".join(each.stdout for each in install(environment, Children(), is_plugin=False)).decode()
        return [line for line in output.splitlines() if line.startswith("ran")]

    assert ran() == [f"ran -m venv {tmp_path / 'venv'}"]
    assert ran() == []
    (tmp_path / "requirements.txt").write_text("something\n")
    assert ran() == ["ran -m pip install --disable-pip-version-check -r requirements.txt"]
    assert ran() == []


def test_a_failed_installation_says_so_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to("/bin/false")
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    environment = PythonEnvironment(tmp_path, "pip", tmp_path / "venv")
    for _ in range(2):
        with pytest.raises(EnvironmentUnusableError, match=r"pip install .*failed with exit code 1"):
            list(install(environment, Children(), is_plugin=False))


@pytest.fixture
def client(tmp_path: Path) -> Iterator[language_pb2_grpc.LanguageRuntimeStub]:
    """Yield a client of a host in this process, whose executor records its arguments."""
    executor = tmp_path / "executor"
    executor.write_text(EXECUTOR)
    server = grpc.server(ThreadPoolExecutor(8))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(PythonHost("127.0.0.1:1", executor), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield language_pb2_grpc.LanguageRuntimeStub(channel)
    server.stop(None).wait()


def run_request(folder: Path) -> Any:
    info = language_pb2.ProgramInfo(root_directory=str(folder), program_directory=str(folder), entry_point=".")
    return language_pb2.RunRequest(
        project="p", stack="s", pwd=str(folder), dryRun=True, parallel=4, monitor_address="127.0.0.1:2", args=["more"],
        config={"p:key": "value"}, configSecretKeys=["p:key"], info=info,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "expected"),
    [(0, ("", False)), (32, ("", True)), (3, ("program exited with non-zero exit code: 3", False))],
)
def test_the_exit_code_of_a_program_is_reported_as_the_engine_expects(
    client: language_pb2_grpc.LanguageRuntimeStub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    expected: tuple[str, bool],
) -> None:
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("CODE", str(code))
    response = client.Run(run_request(tmp_path))
    assert (response.error, response.bail) == expected
    arguments = ["--monitor", "127.0.0.1:2", "--engine", "127.0.0.1:1", "--project", "p", "--root_directory"]
    arguments += [str(tmp_path), "--stack", "s", "--pwd", str(tmp_path), "--dry_run", "true", "--parallel", "4"]
    assert json.loads((tmp_path / "seen").read_text()) == {
        "arguments": [*arguments, ".", "more"],
        "config": '{"p:key": "value"}',
        "secret": '["p:key"]',
        "folder": str(tmp_path),
    }


def plugin_request(folder: Path, source: str) -> Any:
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / "__main__.py").write_text(source)
    info = language_pb2.ProgramInfo(root_directory=str(folder), program_directory=str(folder), entry_point=".")
    return language_pb2.RunPluginRequest(pwd=str(folder), args=["one"], env=["TWO=2"], kind="resource", info=info)


def test_a_plugins_output_is_streamed_with_its_exit_code(
    client: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path
) -> None:
    source = "import os, sys\nprint(sys.argv[1], os.environ['TWO'])\nprint('problem', file=sys.stderr)\nsys.exit(5)\n"
    pieces = list(client.RunPlugin(plugin_request(tmp_path, source)))
    assert b"".join(each.stdout for each in pieces) == b"one 2\n"
    assert b"".join(each.stderr for each in pieces) == b"problem\n"
    assert pieces[-1].exitcode == 5


def test_a_plugin_ends_when_the_engine_disconnects(
    client: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path
) -> None:
    stream = client.RunPlugin(plugin_request(tmp_path, "import os, time\nprint(os.getpid())\ntime.sleep(600)\n"))
    process = psutil.Process(int(next(stream).stdout))
    # By then the host waits for more output. Between two pieces of output it would notice the end by itself.
    time.sleep(0.5)
    try:
        stream.cancel()
        _, alive = psutil.wait_procs([process], timeout=120)
        assert alive == []
    finally:
        if process.is_running():
            process.kill()


def test_a_folder_without_a_plugin_is_refused_with_the_missing_files(
    client: language_pb2_grpc.LanguageRuntimeStub, tmp_path: Path
) -> None:
    request = plugin_request(tmp_path, "")
    (tmp_path / "__main__.py").unlink()
    with pytest.raises(grpc.RpcError) as error:
        list(client.RunPlugin(request))
    assert "neither a __main__.py nor a pyproject.toml" in str(error.value.details())


@pytest.mark.parametrize("method", ["GenerateProgram", "GenerateProject", "Pack"])
def test_an_unsupported_method_is_refused_with_its_name(
    client: language_pb2_grpc.LanguageRuntimeStub, method: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        getattr(client, method)(getattr(language_pb2, f"{method}Request")())
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert f"does not support {method}" in str(error.value.details())


@pytest.mark.parametrize("number", [2, 15])
def test_the_host_exits_on_a_signal_within_the_engines_five_seconds(number: int) -> None:
    command = [sys.executable, "-P", "-m", "lab.language_hosts.python", "127.0.0.1:1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert int(process.stdout.readline()) > 0
    os.kill(process.pid, number)
    # The engine kills a host that has not ended after five seconds.
    process.communicate(timeout=120)
    assert process.returncode == 0


def test_the_host_does_not_import_the_sdk() -> None:
    command = "import lab.language_hosts.python, sys; print('pulumi' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
