"""What every language host answers the engine: one method for each call of `pulumirpc.LanguageRuntime`."""

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

# Exit code of a program's SDK after it has shown the user an error (a constant of every SDK).
_BAIL = 32

# gRPC gives the methods their names and arguments.
# ruff: noqa: N802, ARG002


@dataclass(frozen=True)
class Execution:
    """A process: its command, where it runs, and its whole environment."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Sdk:
    """An SDK of a component plugin that was generated into the project of a program."""

    package: str
    """Name of the plugin, e.g. `vpn-gateway-pair`."""
    path: str
    """Its folder, relative to the program's."""


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer, ABC):
    """Runs programs of one language; `children` are their processes, `engine` the engine's address."""

    language: str
    """As the engine calls it, e.g. `python`."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.children = Children()

    @abstractmethod
    def required_packages(self, info: Any) -> list[Any]:
        """Return a PackageDependency of every resource plugin that the program's dependencies ask for."""

    @abstractmethod
    def execution(self, request: Any) -> Execution:
        """Return how to run a program; what the engine says of configuration is added to its environment."""

    @abstractmethod
    def install(self, info: Any, *, is_plugin: bool) -> Iterator[Output]:
        """Install what the program needs; yield what that prints."""

    @abstractmethod
    def link(self, info: Any, sdks: Sequence[Sdk]) -> str:
        """Add generated SDKs to the program's dependencies; return how to import them, for the user."""

    def plugin_execution(self, request: Any) -> Execution:
        """Return how to run a component plugin."""
        raise EnvironmentUnusableError(
            f"the lab's {self.language} language host runs programs, no plugins; write the plugin in Python"
        )

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Learn the engine's address, which an attached host has not got as an argument."""
        self.engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer the version of the SDK this host belongs to."""
        from importlib.metadata import version  # noqa: PLC0415 - 50 ms that few commands need

        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer the resource plugins that the program's dependencies ask for."""
        with refusals(context):
            packages = self.required_packages(request.info)
            for each in packages:
                _stand_in(each.name, each.version)
            return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Run a program to its end. Its output is this process's own, which the engine shows."""
        with refusals(context):
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
        """Run a component plugin (a folder with PulumiPlugin.yaml); stream what it writes until the engine hangs up."""
        with refusals(context):
            run = self.plugin_execution(request)
            with self.children.start(
                run.command, folder=run.folder, environment=run.environment, captured=True
            ) as child:
                # While it waits for output, this generator is not told that the engine has gone.
                if not context.add_callback(child.kill):
                    child.kill()
                for each in child.output():
                    yield _piece(language_pb2.RunPluginResponse, each)
                yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Install what the program or plugin needs; stream the output."""
        with refusals(context):
            for each in self.install(request.info, is_plugin=request.is_plugin):
                yield _piece(language_pb2.InstallDependenciesResponse, each)

    def GeneratePackage(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Generate the SDK of a package for this language into a folder."""
        from lab.language_hosts.base.sdk import generate  # noqa: PLC0415 - once in a project's life

        with refusals(context):
            return language_pb2.GeneratePackageResponse(diagnostics=generate(self.language, request))

    def Link(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make generated SDKs dependencies of the program."""
        with refusals(context):
            sdks = [Sdk(each.package.name, each.path) for each in request.packages]
            return language_pb2.LinkResponse(import_instructions=self.link(request.info, sdks))

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Ask nothing: every option has a default."""
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Ask the program to end."""
        self.children.interrupt()
        return empty_pb2.Empty()

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse."""
        self._not_here(context, "About")

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Refuse."""
        self._not_here(context, "GetProgramDependencies")

    def GenerateProgram(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        self._not_here(context, "GenerateProgram")

    def GenerateProject(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        self._not_here(context, "GenerateProject")

    def Pack(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        self._not_here(context, "Pack")

    def _not_here(self, context: grpc.ServicerContext, method: str) -> NoReturn:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"the lab's {self.language} language host does not do {method}; use a real Pulumi installation for it",
        )
        raise AssertionError  # abort raises


def _stand_in(package: str, version: str) -> None:
    """See that the lab's stand-in is where the engine will look for it, in the version that it will look for."""
    home = os.environ.get("PULUMI_HOME")
    if home and not Path(home, "plugins", f"resource-{package}-{version}").exists():
        from lab.engine.plugins import install_stand_in  # noqa: PLC0415 - once for each version

        install_stand_in(package, version, Path(home))


def _piece(response: Any, output: Output) -> Any:
    return response(stdout=output.stdout) if output.stdout else response(stderr=output.stderr)


@contextlib.contextmanager
def refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """Tell the engine what cannot be done, in words rather than as a trace."""
    try:
        yield
    except (EnvironmentUnusableError, FileNotFoundError) as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
