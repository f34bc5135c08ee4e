"""Provide the `pulumi` command in `settings.BIN`: `python -m lab.engine.build`.

If this machine has a complete real Pulumi, the command is a link to it. Otherwise the engine is built from the Go
modules in `pulumi/go.mod` and `pulumi/go.sum`. Its version is set in go.mod and nowhere else.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.engine import golang, real, warm, warm_client
from lab.engine.compilation import Compilation, compile_if_needed, write
from lab.engine.errors import EngineError

MODULES = Path(__file__).with_name("pulumi")
LAUNCHERS = {
    f"pulumi-language-{language}": f"lab.language_hosts.{language}" for language in ("go", "nodejs", "python", "yaml")
}
"""Executable of each language host, in the engine's folder -> the module that it runs."""
EXECUTOR = "pulumi-language-python-exec"

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3"
_SDK = "github.com/pulumi/pulumi/sdk/v3"
_COMMAND = f"{_PACKAGE}/cmd/pulumi"
_VERSION_VARIABLE = f"{_SDK}/go/common/version.Version"


@dataclass(frozen=True)
class Engine:
    """The `pulumi` command the lab uses."""

    path: Path
    version: str
    """Without a leading v, e.g. `3.250.0`."""
    is_built: bool
    """False: a real Pulumi of this machine, with its own plugins."""


def ensure_engine(progress: Callable[[str], None]) -> Engine:
    """Create `settings.BIN/pulumi` and its language hosts. Quick when they exist.

    `progress` receives status lines. Raises EngineError with one line that names the remedy.
    """
    settings.BIN.mkdir(parents=True, exist_ok=True)
    target = settings.BIN / "pulumi"
    own = real.find()
    if own is not None:
        _link(own.path, target)
        for stand_in in (*LAUNCHERS, EXECUTOR):
            (settings.BIN / stand_in).unlink(missing_ok=True)
        progress(f"using the pulumi {own.version} of this machine, with its own plugins: {own.path}")
        return Engine(own.path, own.version, is_built=False)
    version = wanted_version()

    def finish(binary: Path, go: golang.Go) -> None:
        _copy_executor(go.path)
        _check(binary, version)

    compile_if_needed(
        _compilation(target, version),
        progress,
        finish=finish,
        is_complete=(settings.BIN / EXECUTOR).exists,
    )
    for name, module in LAUNCHERS.items():
        _write_launcher(settings.BIN / name, module)
    return Engine(target, version, is_built=True)


def wanted_version() -> str:
    """Return the engine's version from go.mod, without the v."""
    match = re.search(rf"^\s*{re.escape(_PACKAGE)} v(\S+)", (MODULES / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise EngineError(f"{MODULES / 'go.mod'} does not require {_PACKAGE}; restore the file from git")
    return match[1]


def _compilation(target: Path, version: str) -> Compilation:
    return Compilation(
        title=f"pulumi {version}",
        modules=MODULES,
        package=_COMMAND,
        # Without this variable the engine reports version 0.0.0, which the Automation API refuses.
        ldflags=f"-s -w -X {_VERSION_VARIABLE}=v{version}",
        target=target,
        stamp=settings.CACHE / "engine.json",
        cost="3 to 4 minutes and 3 GB of Go caches when these are empty",
    )


def _copy_executor(go: Path) -> None:
    """Copy the script that runs a Python program from the SDK release that the engine is built from."""
    listing = subprocess.run(
        [str(go), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _SDK],
        cwd=MODULES,
        env=golang.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    source = Path(listing.stdout.strip(), "python", "cmd", EXECUTOR)
    if listing.returncode or not source.is_file():
        raise EngineError(
            f"the Go module {_SDK} has no python/cmd/{EXECUTOR} ({listing.stderr.strip()}); "
            "remove the module from Go's module cache if it is damaged"
        )
    write(settings.BIN / EXECUTOR, source.read_text(), executable=True)


def _check(binary: Path, version: str) -> None:
    reported = subprocess.run([str(binary), "version"], capture_output=True, text=True, check=False).stdout.strip()
    if reported != f"v{version}":
        raise EngineError(
            f"the built engine reports version {reported!r}, not 'v{version}'; "
            "correct _VERSION_VARIABLE in lab/engine/build.py"
        )


def _write_launcher(path: Path, module: str) -> None:
    content = launcher(module)
    # Compared as bytes, because the existing file may be a binary.
    if not path.exists() or path.read_bytes() != content.encode():
        write(path, content, executable=True)


def launcher(module: str) -> str:
    """Return a shell script that runs `module` with this interpreter, through the warm server if that serves it.

    -P keeps the working directory off the import path: it is the user's program, whose modules may have the same names
    as the lab's.
    """
    options = f'-I -S "{warm_client.__file__}"' if module in warm.MODULES else "-P -m"
    return f'#!/bin/sh\nexec "{sys.executable}" {options} {module} "$@"\n'


def _link(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.symlink_to(source)
    draft.replace(target)


def main() -> None:
    """Provide the engine and print its version and path."""
    try:
        engine = ensure_engine(lambda line: print(line, file=sys.stderr, flush=True))
    except EngineError as error:
        sys.exit(f"lab: {error}")
    print(f"pulumi {engine.version}: {shutil.which(engine.path) or engine.path}")


if __name__ == "__main__":
    main()
