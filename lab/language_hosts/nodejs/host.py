"""The Node.js language host's own answers; the rest is every host's."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from lab.engine import nodejs
from lab.engine.errors import EngineError
from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.host import Execution, LanguageHost, Sdk
from lab.language_hosts.base.plugin_dependency import dependency
from lab.language_hosts.base.processes import Output

_OPTIONS = frozenset({"typescript", "packagemanager"})


class NodeJsHost(LanguageHost):
    """Runs programs by the module `cmd/run` of their own `@pulumi/pulumi`, which compiles TypeScript itself."""

    language = "nodejs"

    def required_packages(self, info: Any) -> list[Any]:
        """Read the package.json of every installed package."""
        modules = Path(info.program_directory) / "node_modules"
        return [found for each in _installed(modules) if (found := _dependency(each)) is not None]

    def execution(self, request: Any) -> Execution:
        """Run the SDK's own runner by `node`, in the program's folder."""
        folder = Path(request.info.program_directory)
        runner = folder / "node_modules" / "@pulumi" / "pulumi" / "cmd" / "run"
        if not runner.is_dir():
            raise EnvironmentUnusableError(f"{folder} has no node_modules/@pulumi/pulumi; run `pulumi install`")
        node = _node()
        values = {
            "monitor": request.monitor_address,
            "engine": self.engine,
            "organization": request.organization,
            "project": request.project,
            "root-directory": request.info.root_directory,
            "stack": request.stack,
            "pwd": str(folder),
            "parallel": str(request.parallel),
        }
        flags = [part for name, value in values.items() if value for part in (f"--{name}", value)]
        flags += ["--dry-run"] * request.dryRun
        command = [str(node.path), str(runner), *flags, request.info.entry_point, *request.args]
        typescript = _options(request.info).get("typescript", True)
        variables = {"PULUMI_NODEJS_TYPESCRIPT": "true" if typescript else "false"}
        return Execution(command, folder, {**node.environment(), **variables})

    def install(self, info: Any, *, is_plugin: bool) -> Iterator[Output]:  # noqa: ARG002 - the base has it
        """Run `npm install`."""
        yield Output(stdout=b"Installing dependencies by npm...\n")
        folder = Path(info.program_directory)
        yield from self.children.run_to_end([*_node().npm, "install"], folder, _node().environment())

    def link(self, info: Any, sdks: Sequence[Sdk]) -> str:
        """Add the SDKs' folders to the dependencies in package.json."""
        folder = Path(info.program_directory)
        names = {sdk: json.loads((folder / sdk.path / "package.json").read_text())["name"] for sdk in sdks}
        manifest = folder / "package.json"
        described = json.loads(manifest.read_text())
        described.setdefault("dependencies", {}).update({name: f"file:{sdk.path}" for sdk, name in names.items()})
        manifest.write_text(json.dumps(described, indent=2) + "\n")
        imports = "\n".join(f'  import * as {_camel(sdk.package)} from "{name}";' for sdk, name in names.items())
        return f"You can then import the SDK in your TypeScript code with:\n\n{imports}\n"


def _options(info: Any) -> dict[str, Any]:
    options: dict[str, Any] = json_format.MessageToDict(info.options)
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown or options.get("packagemanager", "npm") != "npm":
        raise EnvironmentUnusableError(
            f"runtime options {options} are not all supported by the lab's Node.js host; use typescript, and the "
            "packagemanager npm"
        )
    return options


def _node() -> nodejs.NodeJs:
    try:
        return nodejs.find()
    except EngineError as error:
        raise EnvironmentUnusableError(str(error)) from error


def _installed(modules: Path) -> Iterator[dict[str, Any]]:
    """Yield the package.json of every package below a node_modules folder, those of packages' own ones too."""
    for pattern in ("*/package.json", "@*/*/package.json"):
        for manifest in sorted(modules.glob(pattern)):
            described = json.loads(manifest.read_text())
            if isinstance(described, dict):
                yield described
            yield from _installed(manifest.parent / "node_modules")


def _dependency(described: dict[str, Any]) -> Any:
    plugin = described.get("pulumi")
    if not isinstance(plugin, dict):
        return None
    name = str(described.get("name", "")).removeprefix("@pulumi/").removeprefix("@")
    return dependency(plugin, name=name, version=str(described.get("version", "")))


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return "".join([first, *(word.capitalize() for word in rest)])
