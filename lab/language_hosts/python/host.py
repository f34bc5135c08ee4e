"""The methods that are specific to the Python language host."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.host import Execution, LanguageHost, Sdk, errors_as_status
from lab.language_hosts.base.processes import Output
from lab.language_hosts.base.protocol import language_pb2
from lab.language_hosts.python.environment import PythonEnvironment, resolve
from lab.language_hosts.python.installation import install
from lab.language_hosts.python.plugin_dependency import dependency_of
from lab.language_hosts.python.sdk import link

# gRPC defines the names and arguments of the methods.
# ruff: noqa: N802


class PythonHost(LanguageHost):
    """Runs programs with the script `executor`, and plugins directly."""

    language = "python"

    def __init__(self, engine: str, executor: Path) -> None:
        super().__init__(engine)
        self._executor = executor

    def required_packages(self, info: Any) -> list[Any]:
        """List the packages of the program's own Python, and create that first if it is missing."""
        environment = _environment(info)
        if not environment.exists and environment.can_be_made:
            self._install_and_log(environment)
        environment.validate()
        dependencies = [dependency_of(each) for each in environment.pulumi_packages()]
        return [each for each in dependencies if each is not None]

    def execution(self, request: Any) -> Execution:
        """Run the executor in the program's environment."""
        environment = _environment(request.info)
        environment.validate()
        command = [str(environment.python), *self._arguments(request)]
        return Execution(command, Path(request.info.program_directory), environment.variables())

    def plugin_execution(self, request: Any) -> Execution:
        """Run the plugin in its own environment."""
        environment = _environment(request.info, is_plugin=True)
        environment.validate()
        variables = dict(each.split("=", 1) for each in request.env)
        command = [str(environment.python), *_plugin_arguments(request)]
        return Execution(command, Path(request.pwd), environment.variables({**os.environ, **variables}))

    def install(self, info: Any, *, is_plugin: bool) -> Iterator[Output]:
        """Create the virtual environment and install into it."""
        return install(_environment(info, is_plugin=is_plugin), self.children, is_plugin=is_plugin)

    def link(self, info: Any, sdks: Sequence[Sdk]) -> str:
        """Add the SDKs to requirements.txt."""
        return link(_environment(info), sdks)

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the Python that runs the program."""
        with errors_as_status(context):
            environment = _environment(request.info)
            return language_pb2.AboutResponse(
                executable=str(environment.python),
                version=environment.version(),
                metadata={"toolchain": environment.toolchain},
            )

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the installed packages; without `transitiveDependencies` only those that no other package requires."""
        with errors_as_status(context):
            distributions = _environment(request.info).distributions()
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=each["name"], version=each["version"])
                for each in distributions
                if request.transitiveDependencies or not each["required"]
            ]
        )

    def _arguments(self, request: Any) -> list[str]:
        """Return the executor and its arguments, without the empty ones."""
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
        from lab.language_hosts.base.log import EngineLog  # noqa: PLC0415 - needed once per environment

        with EngineLog(self.engine) as log:
            for each in install(environment, self.children, is_plugin=False):
                log.write(each)


def _environment(info: Any, *, is_plugin: bool = False) -> PythonEnvironment:
    options = json_format.MessageToDict(info.options)
    return resolve(Path(info.root_directory), Path(info.program_directory), options, is_plugin=is_plugin)


def _plugin_arguments(request: Any) -> list[str]:
    """Return the arguments that run the folder's __main__.py, or the package with the SDK's own entry point."""
    folder = Path(request.info.program_directory)
    if (folder / "__main__.py").is_file():
        return ["-u", str(folder), *request.args]
    project = folder / "pyproject.toml"
    if not project.is_file():
        raise EnvironmentUnusableError(
            f"plugin {folder} cannot be run: it has neither a __main__.py nor a pyproject.toml; add one of the two"
        )
    import tomllib  # noqa: PLC0415 - few plugins are packages

    return ["-u", "-m", "pulumi.run.plugin", tomllib.loads(project.read_text())["project"]["name"], *request.args]
