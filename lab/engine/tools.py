"""Go programs that are built at their first use: the SDK generator and the language host of YAML."""

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.engine.compilation import Compilation, compile_if_needed

_MODULES = Path(__file__).parent


@dataclass(frozen=True)
class Tool:
    """A program: the folder with its go.mod, its Go package, and the cost of a build with empty caches."""

    name: str
    modules: Path
    package: str
    sources: tuple[Path, ...] = ()
    cost: str = "a minute when Go's caches are empty"


SDK_GENERATOR = Tool(
    name="sdkgen",
    modules=_MODULES / "pulumi",
    package="./sdkgen",
    sources=(_MODULES / "pulumi" / "sdkgen" / "main.go",),
)
"""Uses the engine's modules, which are downloaded once the engine is built."""

YAML_HOST = Tool(
    name="pulumi-language-yaml",
    modules=_MODULES / "yaml",
    package="github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
)
"""The real language host of YAML. Its own go.mod, because it requires an older engine module than the lab's."""


def ensure_tool(tool: Tool, progress: Callable[[str], None]) -> Path:
    """Return the executable, and build it first if necessary.

    `progress` receives status lines. Raises EngineError with one line that names the remedy.
    """
    folder = settings.CACHE / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / tool.name
    # The engine may start two hosts at the same time.
    with (folder / f"{tool.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compile_if_needed(
            Compilation(
                title=tool.name,
                modules=tool.modules,
                package=tool.package,
                ldflags="-s -w",
                target=target,
                stamp=folder / f"{tool.name}.json",
                sources=tool.sources,
                cost=tool.cost,
            ),
            progress,
        )
    return target
