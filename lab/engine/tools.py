"""Go programs beside the engine, built when they are first asked for: the SDK generator and YAML's language host."""

import fcntl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.engine.compilation import Compilation, compile_if_needed

_MODULES = Path(__file__).parent


@dataclass(frozen=True)
class Tool:
    """One program: the folder with its go.mod, its Go package, and what a cold build costs."""

    name: str
    modules: Path
    package: str
    sources: tuple[Path, ...] = ()
    cost: str = "cold: a minute"


SDK_GENERATOR = Tool(
    name="sdkgen",
    modules=_MODULES / "pulumi",
    package="./sdkgen",
    sources=(_MODULES / "pulumi" / "sdkgen" / "main.go",),
)
"""Of the engine's own modules: what it needs is there when the engine is built."""

YAML_HOST = Tool(
    name="pulumi-language-yaml",
    modules=_MODULES / "yaml",
    package="github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml",
)
"""The real language host of YAML, whose modules want an older engine beside them than ours."""


def ensure_tool(tool: Tool, progress: Callable[[str], None]) -> Path:
    """Return the executable, built unless it is there; quick then.

    `progress` gets one line for each thing worth knowing. Raises EngineError, one line with the remedy.
    """
    folder = settings.CACHE / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / tool.name
    # The engine may start two hosts at once.
    with (folder / f"{tool.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compile_if_needed(
            Compilation(
                what=tool.name,
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
