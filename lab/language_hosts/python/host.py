"""The Python language host's own answers; the rest is every host's."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.host import Execution, LanguageHost, Sdk, refusals
from lab.language_hosts.base.processes import Output
from lab.language_hosts.base.protocol import language_pb2
from lab.language_hosts.python.dependencies import dependency
from lab.language_hosts.python.environment import PythonEnvironment, resolve
from lab.language_hosts.python.installation import install
from lab.language_hosts.python.sdk import link

# gRPC gives the methods their names and arguments.
# ruff: noqa: N802


class PythonHost(LanguageHost):
    """Runs programs by the script `executor` and plugins by themselves."""

    language = "python"

    def __init__(self, engine: str, executor: Path) -> None:
        super().__init__(engine)
        self._executor = executor

    def required_packages(self, info: Any) -> list[Any]:
        """Ask the program's own Python; one that is not there yet is made first."""
        environment = _environment(info)
        if not environment.exists and environment.can_be_made:
            self._install_and_log(environment)
        environment.validate()
        found = [dependency(each) for each in environment.pulumi_packages()]
        return [each for each in found if each is not None]

    def execution(self, request: Any) -> Execution:
        """Run the executor in the program's environment."""
        environment = _environment(request.info)
        environment.validate()
        command = [str(environment.python), *self._arguments(request)]
        return Execution(command, Path(request.info.program_directory), environment.variables())

    def plugin_execution(self, request: Any) -> Execution:
        """Run the plugin's folder in the plugin's environment."""
        environment = _environment(request.info, is_plugin=True)
        environment.validate()
        given = dict(each.split("=", 1) for each in request.env)
        command = [str(environment.python), *_plugin_arguments(request)]
        return Execution(command, Path(request.pwd), environment.variables({**os.environ, **given}))

    def install(self, info: Any, *, is_plugin: bool) -> Iterator[Output]:
        """Create the virtual environment and install into it."""
        return install(_environment(info, is_plugin=is_plugin), self.children, is_plugin=is_plugin)

    def link(self, info: Any, sdks: Sequence[Sdk]) -> str:
        """Add the SDKs to requirements.txt."""
        return link(_environment(info), sdks)

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer which Python runs the program."""
        with refusals(context):
            environment = _environment(request.info)
            return language_pb2.AboutResponse(
                executable=str(environment.python),
                version=environment.version(),
                metadata={"toolchain": environment.toolchain},
            )

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer what is installed; without `transitiveDependencies` only what nothing else requires."""
        with refusals(context):
            listed = _environment(request.info).distributions()
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=each["name"], version=each["version"])
                for each in listed
                if request.transitiveDependencies or not each["required"]
            ]
        )

    def _arguments(self, request: Any) -> list[str]:
        """Return the executor and its arguments; what is empty is left out."""
        values = {
            "monitor": request.monitor_address,
            "engine": self.engine,
            "project": request.project,
            "root_directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": "true" if request.dryRun else "false",
            "parallel": str(request.parallel),
            "organization": request.organization,
        }
        flags = [part for name, value in values.items() if value for part in (f"--{name}", value)]
        return [str(self._executor), *flags, request.info.entry_point, *request.args]

    def _install_and_log(self, environment: PythonEnvironment) -> None:
        from lab.language_hosts.base.log import EngineLog  # noqa: PLC0415 - once in an environment's life

        with EngineLog(self.engine) as log:
            for each in install(environment, self.children, is_plugin=False):
                log.write(each)


def _environment(info: Any, *, is_plugin: bool = False) -> PythonEnvironment:
    options = json_format.MessageToDict(info.options)
    return resolve(Path(info.root_directory), Path(info.program_directory), options, is_plugin=is_plugin)


def _plugin_arguments(request: Any) -> list[str]:
    """Run the folder's __main__.py; a package without one is started by the SDK's own entry point."""
    folder = Path(request.info.program_directory)
    if (folder / "__main__.py").is_file():
        return ["-u", str(folder), *request.args]
    project = folder / "pyproject.toml"
    if not project.is_file():
        raise EnvironmentUnusableError(
            f"plugin {folder} cannot be run: it has neither a __main__.py nor a pyproject.toml; add one of the two"
        )
    import tomllib  # noqa: PLC0415 - hardly any plugin is a package

    return ["-u", "-m", "pulumi.run.plugin", tomllib.loads(project.read_text())["project"]["name"], *request.args]
