"""The gRPC methods of `pulumirpc.LanguageRuntime`, as far as they are the same for every language."""

import contextlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.processes import Children, Output
from lab.language_hosts.base.protocol import language_pb2, language_pb2_grpc, plugin_pb2

# Exit code of a program whose SDK has already shown the error to the user (a constant of every SDK).
_BAIL = 32

# gRPC defines the names and arguments of the methods.
# ruff: noqa: N802, ARG002


@dataclass(frozen=True)
class Execution:
    """A process: its command, its working directory and its whole environment."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Sdk:
    """The SDK of a component plugin, generated into the project of a program."""

    package: str
    """Name of the plugin, e.g. `vpn-gateway-pair`."""
    path: str
    """Its folder, relative to the program's folder."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer, ABC):
    """Runs programs of one language. `children` are their processes, `engine` is the engine's address."""

    language: str
    """The engine's name of the language, e.g. `python`."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.children = Children()

    @abstractmethod
    def required_packages(self, info: Any) -> list[Any]:
        """Return a PackageDependency for every resource plugin that the program's dependencies require."""

    @abstractmethod
    def execution(self, request: Any) -> Execution:
        """Return how to run a program; `Run` adds the configuration to its environment."""

    @abstractmethod
    def install(self, info: Any, *, is_plugin: bool) -> Iterator[Output]:
        """Install the program's dependencies; yield the output."""

    @abstractmethod
    def link(self, info: Any, sdks: Sequence[Sdk]) -> str:
        """Add generated SDKs to the program's dependencies; return how to import them, for the user."""

    def plugin_execution(self, request: Any) -> Execution:
        """Return how to run a component plugin."""
        raise EnvironmentUnusableError(
            f"the lab's {self.language} language host runs programs, not plugins; write the plugin in Python"
        )

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Store the engine's address, which a host that the engine attaches to does not get as an argument."""
        self.engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the version of the SDK, which is also the host's."""
        from importlib.metadata import version  # noqa: PLC0415 - takes 50 ms, and few commands need it

        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return the resource plugins that the program's dependencies require, after installing their stand-ins."""
        with errors_as_status(context):
            packages = self.required_packages(request.info)
            for each in packages:
                _ensure_stand_in(each.name, each.version)
            return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Run a program to its end. It writes to this process's own output, which the engine shows."""
        with errors_as_status(context):
            run = self.execution(request)
            variables = {
                **run.environment,
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            }
            with self.children.start(run.command, folder=run.folder, environment=variables, captured=False) as child:
                if not context.add_callback(child.interrupt):
                    child.interrupt()
                code = child.wait()
        if code == _BAIL:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}" if code else "")

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Run a component plugin (a folder with PulumiPlugin.yaml); stream its output until the engine disconnects."""
        with errors_as_status(context):
            run = self.plugin_execution(request)
            with self.children.start(
                run.command, folder=run.folder, environment=run.environment, captured=True
            ) as child:
                # A generator that waits for output does not notice that the engine has disconnected.
                if not context.add_callback(child.kill):
                    child.kill()
                for each in child.output():
                    yield _output_message(language_pb2.RunPluginResponse, each)
                yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Install the dependencies of the program or plugin; stream the output."""
        with errors_as_status(context):
            for each in self.install(request.info, is_plugin=request.is_plugin):
                yield _output_message(language_pb2.InstallDependenciesResponse, each)

    def GeneratePackage(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Generate the SDK of a package for this language into a folder."""
        from lab.language_hosts.base.sdk import generate  # noqa: PLC0415 - rarely needed

        with errors_as_status(context):
            return language_pb2.GeneratePackageResponse(diagnostics=generate(self.language, request))

    def Link(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make generated SDKs dependencies of the program."""
        with errors_as_status(context):
            sdks = [Sdk(each.package.name, each.path) for each in request.packages]
            return language_pb2.LinkResponse(import_instructions=self.link(request.info, sdks))

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Return no prompts: every option has a default."""
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Interrupt the program."""
        self.children.interrupt()
        return empty_pb2.Empty()

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse."""
        self._refuse(context, "About")

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse."""
        self._refuse(context, "GetProgramDependencies")

    def GenerateProgram(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        self._refuse(context, "GenerateProgram")

    def GenerateProject(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        self._refuse(context, "GenerateProject")

    def Pack(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        self._refuse(context, "Pack")

    def _refuse(self, context: grpc.ServicerContext, method: str) -> NoReturn:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"the lab's {self.language} language host does not support {method}; use a real Pulumi installation for it",
        )
        raise AssertionError  # abort raises


def _ensure_stand_in(package: str, version: str) -> None:
    """Install the stand-in in the version that the engine will look for, unless it is installed."""
    home = os.environ.get("PULUMI_HOME")
    if home and not Path(home, "plugins", f"resource-{package}-{version}").exists():
        from lab.engine.plugins import install_stand_in  # noqa: PLC0415 - needed once per version

        install_stand_in(package, version, Path(home))


def _output_message(response: Any, output: Output) -> Any:
    return response(stdout=output.stdout) if output.stdout else response(stderr=output.stderr)


@contextlib.contextmanager
def errors_as_status(context: grpc.ServicerContext) -> Iterator[None]:
    """Turn the errors that are meant for the user into a gRPC status with their message."""
    try:
        yield
    except (EnvironmentUnusableError, FileNotFoundError) as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
