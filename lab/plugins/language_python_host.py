"""What the Python language host answers the engine: one method for each call of `pulumirpc.LanguageRuntime`."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, json_format

from lab.plugins.language_python_dependencies import dependency
from lab.plugins.language_python_environment import EnvironmentUnusableError, PythonEnvironment, resolve
from lab.plugins.language_python_installation import install
from lab.plugins.language_python_processes import Children, Output
from lab.plugins.language_python_protocol import language_pb2, language_pb2_grpc, plugin_pb2

# Exit code of the executor after it has shown the user an error (a constant of the executor).
_BAIL = 32

# gRPC gives the methods their names and arguments.
# ruff: noqa: N802, ARG002


class Host(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs by the script `executor` and plugins by themselves; `children` are the processes of both."""

    def __init__(self, engine: str, executor: Path) -> None:
        self._engine = engine
        self._executor = executor
        self.children = Children()

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Learn the engine's address, which an attached host has not got as an argument."""
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer the version of the SDK this host belongs to."""
        from importlib.metadata import version  # noqa: PLC0415 - 50 ms that few commands need

        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer the resource plugins that the installed Pulumi packages ask for."""
        with _refusals(context):
            environment = _environment(request.info)
            if not environment.exists and environment.can_be_made:
                self._install_and_log(environment)
            environment.validate()
            found = [dependency(each) for each in environment.pulumi_packages()]
        return language_pb2.GetRequiredPackagesResponse(packages=[each for each in found if each is not None])

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Run a program to its end. Its output is this process's own, which the engine shows."""
        with _refusals(context):
            environment = _environment(request.info)
            environment.validate()
            variables = environment.variables() | {
                "PULUMI_CONFIG": json.dumps(dict(request.config)),
                "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
            }
            command = [str(environment.python), *self._arguments(request)]
            folder = Path(request.info.program_directory)
            with self.children.start(command, folder=folder, environment=variables, captured=False) as child:
                if not context.add_callback(child.interrupt):
                    child.interrupt()
                code = child.wait()
        if code == _BAIL:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"program exited with non-zero exit code: {code}" if code else "")

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Run a component plugin (a folder with PulumiPlugin.yaml); stream what it writes until the engine hangs up."""
        with _refusals(context):
            environment = _environment(request.info, is_plugin=True)
            environment.validate()
            given = dict(each.split("=", 1) for each in request.env)
            variables = environment.variables({**os.environ, **given})
            command = [str(environment.python), *_plugin_arguments(request)]
            with self.children.start(command, folder=Path(request.pwd), environment=variables, captured=True) as child:
                # While it waits for output, this generator is not told that the engine has gone.
                if not context.add_callback(child.kill):
                    child.kill()
                for each in child.output():
                    yield _piece(language_pb2.RunPluginResponse, each)
                yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """Create the virtual environment and install into it; stream the output."""
        with _refusals(context):
            environment = _environment(request.info, is_plugin=request.is_plugin)
            for each in install(environment, self.children, is_plugin=request.is_plugin):
                yield _piece(language_pb2.InstallDependenciesResponse, each)

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer which Python runs the program."""
        with _refusals(context):
            environment = _environment(request.info)
            return language_pb2.AboutResponse(
                executable=str(environment.python),
                version=environment.version(),
                metadata={"toolchain": environment.toolchain},
            )

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Answer what is installed; without `transitiveDependencies` only what nothing else requires."""
        with _refusals(context):
            listed = _environment(request.info).distributions()
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=each["name"], version=each["version"])
                for each in listed
                if request.transitiveDependencies or not each["required"]
            ]
        )

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Ask nothing: every option has a default."""
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Ask the program to end."""
        self.children.interrupt()
        return empty_pb2.Empty()

    def GenerateProgram(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        _not_here(context, "GenerateProgram")

    def GenerateProject(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        _not_here(context, "GenerateProject")

    def GeneratePackage(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        _not_here(context, "GeneratePackage")

    def Pack(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        _not_here(context, "Pack")

    def Link(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        """Refuse."""
        _not_here(context, "Link")

    def _arguments(self, request: Any) -> list[str]:
        """Return the executor and its arguments; what is empty is left out."""
        values = {
            "monitor": request.monitor_address,
            "engine": self._engine,
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
        from lab.plugins.language_python_log import EngineLog  # noqa: PLC0415 - once in an environment's life

        with EngineLog(self._engine) as log:
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


def _piece(response: Any, output: Output) -> Any:
    return response(stdout=output.stdout) if output.stdout else response(stderr=output.stderr)


def _not_here(context: grpc.ServicerContext, method: str) -> NoReturn:
    context.abort(
        grpc.StatusCode.UNIMPLEMENTED,
        f"the lab's Python language host does not do {method}; generate SDKs with a real Pulumi installation",
    )
    raise AssertionError  # abort raises


@contextlib.contextmanager
def _refusals(context: grpc.ServicerContext) -> Iterator[None]:
    """Tell the engine what cannot be done, in words rather than as a trace."""
    try:
        yield
    except (EnvironmentUnusableError, FileNotFoundError) as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
