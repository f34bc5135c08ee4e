"""The methods that are specific to the Go language host."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab import settings
from lab.engine import golang
from lab.engine.errors import EngineError
from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.host import Execution, LanguageHost, Sdk
from lab.language_hosts.base.plugin_dependency import plugin_dependency
from lab.language_hosts.base.processes import Output

_PLUGIN_FILES = ("pulumi-plugin.json", "go/pulumi-plugin.json", "go/*/pulumi-plugin.json", "*/pulumi-plugin.json")
"""Where a module may describe its plugin, in the order of the real host."""


class GoHost(LanguageHost):
    """Builds a Go program and runs it."""

    language = "go"

    def required_packages(self, info: Any) -> list[Any]:
        """Read the plugin descriptions in the folders of the modules that go.mod requires."""
        folder = Path(info.program_directory)
        modules = [each["Path"] for each in json.loads(_go(folder, "mod", "edit", "-json"))["Require"] or []]
        if not modules:
            return []
        # Not `all`: Go would need the go.mod of modules that the program uses no package of.
        listing = _go(folder, "list", "-m", "-f", "{{.Path}} {{.Version}} {{.Dir}}", *modules)
        dependencies = (_dependency(*line.split(" ", 2)) for line in listing.splitlines())
        return [each for each in dependencies if each is not None]

    def execution(self, request: Any) -> Execution:
        """Build the program into the lab's cache; run it in its folder."""
        folder = Path(request.info.program_directory)
        program = settings.CACHE / "go-programs" / request.project
        program.parent.mkdir(parents=True, exist_ok=True)
        _go(folder, "build", "-o", str(program), request.info.entry_point)
        # The names are defined by the Go SDK (pulumi/run.go).
        values = {
            "PULUMI_MONITOR": request.monitor_address,
            "PULUMI_ENGINE": self.engine,
            "PULUMI_ORGANIZATION": request.organization,
            "PULUMI_PROJECT": request.project,
            "PULUMI_ROOT_DIRECTORY": request.info.root_directory,
            "PULUMI_STACK": request.stack,
            "PULUMI_DRY_RUN": "true" if request.dryRun else "false",
            "PULUMI_PARALLEL": str(request.parallel),
        }
        return Execution([str(program), *request.args], Path(request.pwd), {**golang.environment(), **values})

    def install(self, info: Any, *, is_plugin: bool) -> Iterator[Output]:  # noqa: ARG002 - part of the base's signature
        """Run `go mod tidy`."""
        folder = Path(info.program_directory)
        yield Output(stdout=b"Installing dependencies by go mod tidy...\n")
        yield from self.children.run_to_end([_command(folder), "mod", "tidy"], folder, golang.environment())

    def link(self, info: Any, sdks: Sequence[Sdk]) -> str:
        """Replace the SDKs' modules in go.mod with their folders."""
        folder = Path(info.program_directory)
        modules = [_go(folder / sdk.path, "list", "-m").strip() for sdk in sdks]
        for sdk, module in zip(sdks, modules, strict=True):
            _go(folder, "mod", "edit", f"-replace={module}=./{sdk.path}")
        imports = "\n".join(f'  "{module}"' for module in modules)
        return f"You can then use the SDK in your Go code with:\n\n{imports}\n"


def _command(folder: Path) -> str:
    module = folder / "go.mod"
    if not module.is_file():
        raise EnvironmentUnusableError(f"{folder} has no go.mod; run `go mod init`")
    try:
        return str(golang.find(golang.required(module)).path)
    except EngineError as error:
        raise EnvironmentUnusableError(str(error)) from error


def _go(folder: Path, *arguments: str) -> str:
    command = [_command(folder), *arguments]
    done = subprocess.run(command, cwd=folder, env=golang.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentUnusableError(f"`go {' '.join(arguments)}` failed in {folder}:\n{done.stderr.strip()}")
    return done.stdout


def _dependency(module: str, version: str, folder: str) -> Any:
    """Return the plugin that a module requires; None when it is not downloaded or does not describe a plugin."""
    files = (path for pattern in _PLUGIN_FILES for path in sorted(Path(folder).glob(pattern))) if folder else iter(())
    description = next(files, None)
    if description is None:
        return None
    name = module.rpartition("/pulumi-")[2].partition("/")[0]
    return plugin_dependency(json.loads(description.read_text()), name=name, version=version)
