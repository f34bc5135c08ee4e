"""The methods that are specific to the Node.js language host."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from lab.engine import nodejs
from lab.engine.errors import EngineError
from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.host import Execution, LanguageHost, Sdk
from lab.language_hosts.base.plugin_dependency import plugin_dependency
from lab.language_hosts.base.processes import Output

_OPTIONS = frozenset({"typescript", "packagemanager"})


class NodeJsHost(LanguageHost):
    """Runs programs with the module `cmd/run` of their own `@pulumi/pulumi`, which also compiles TypeScript."""

    language = "nodejs"

    def required_packages(self, info: Any) -> list[Any]:
        """Read the package.json of every installed package."""
        modules = Path(info.program_directory) / "node_modules"
        dependencies = (_dependency(each) for each in _installed(modules))
        return [each for each in dependencies if each is not None]

    def execution(self, request: Any) -> Execution:
        """Run the SDK's own runner with `node`, in the program's folder."""
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

    def install(self, info: Any, *, is_plugin: bool) -> Iterator[Output]:  # noqa: ARG002 - part of the base's signature
        """Run `npm install`."""
        yield Output(stdout=b"Installing dependencies by npm...\n")
        folder = Path(info.program_directory)
        yield from self.children.run_to_end([*_node().npm, "install"], folder, _node().environment())

    def link(self, info: Any, sdks: Sequence[Sdk]) -> str:
        """Add the SDKs' folders to the dependencies in package.json."""
        folder = Path(info.program_directory)
        names = {sdk: json.loads((folder / sdk.path / "package.json").read_text())["name"] for sdk in sdks}
        manifest = folder / "package.json"
        package = json.loads(manifest.read_text())
        package.setdefault("dependencies", {}).update({name: f"file:{sdk.path}" for sdk, name in names.items()})
        manifest.write_text(json.dumps(package, indent=2) + "\n")
        imports = "\n".join(f'  import * as {_camel(sdk.package)} from "{name}";' for sdk, name in names.items())
        return f"You can then import the SDK in your TypeScript code with:\n\n{imports}\n"


def _options(info: Any) -> dict[str, Any]:
    options: dict[str, Any] = json_format.MessageToDict(info.options)
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown or options.get("packagemanager", "npm") != "npm":
        raise EnvironmentUnusableError(
            f"the lab's Node.js host does not support all runtime options of {options}; use typescript, and the "
            "packagemanager npm"
        )
    return options


def _node() -> nodejs.NodeJs:
    try:
        return nodejs.find()
    except EngineError as error:
        raise EnvironmentUnusableError(str(error)) from error


def _installed(modules: Path) -> Iterator[dict[str, Any]]:
    """Yield the package.json of every package in a node_modules folder and in the node_modules of its packages."""
    for pattern in ("*/package.json", "@*/*/package.json"):
        for manifest in sorted(modules.glob(pattern)):
            package = json.loads(manifest.read_text())
            if isinstance(package, dict):
                yield package
            yield from _installed(manifest.parent / "node_modules")


def _dependency(package: dict[str, Any]) -> Any:
    plugin = package.get("pulumi")
    if not isinstance(plugin, dict):
        return None
    name = str(package.get("name", "")).removeprefix("@pulumi/").removeprefix("@")
    return plugin_dependency(plugin, name=name, version=str(package.get("version", "")))


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return "".join([first, *(word.capitalize() for word in rest)])
