"""Provide the `pulumi` command in `settings.BIN`: `python -m lab.engine.build`.

A complete real Pulumi on this machine is linked there; without one, the engine is built from the Go modules that
`pulumi/go.mod` and `pulumi/go.sum` name. The version stands in go.mod and nowhere else.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.engine import golang, real
from lab.engine.errors import EngineError

MODULES = Path(__file__).with_name("pulumi")
LAUNCHER = "pulumi-language-python"
EXECUTOR = "pulumi-language-python-exec"

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3"
_SDK = "github.com/pulumi/pulumi/sdk/v3"
_COMMAND = f"{_PACKAGE}/cmd/pulumi"
# Without the stamp the engine calls itself 0.0.0 and the Automation API refuses it.
_VERSION_VARIABLE = f"{_SDK}/go/common/version.Version"
_RECIPE = ("build", "-trimpath", "-buildvcs=false", "-mod=readonly")
_SECONDS_BETWEEN_LINES = 15.0


@dataclass(frozen=True)
class Engine:
    """The `pulumi` command the lab uses."""

    path: Path
    version: str
    """Without a leading v, e.g. `3.250.0`."""
    is_built: bool
    """False: the user's own, with its own plugins."""


def ensure_engine(progress: Callable[[str], None]) -> Engine:
    """Make `settings.BIN/pulumi` and its language host, unless they are there; quick then.

    `progress` gets one line for each thing worth knowing. Raises EngineError, one line with the remedy.
    """
    settings.BIN.mkdir(parents=True, exist_ok=True)
    target = settings.BIN / "pulumi"
    own = real.find()
    if own is not None:
        _link(own.path, target)
        for stand_in in (LAUNCHER, EXECUTOR):
            (settings.BIN / stand_in).unlink(missing_ok=True)
        progress(f"using the pulumi {own.version} of this machine, with its own plugins: {own.path}")
        return Engine(own.path, own.version, is_built=False)
    version = wanted_version()
    if not _is_built(target):
        _build(target, version, progress)
    _write_launcher(settings.BIN / LAUNCHER)
    return Engine(target, version, is_built=True)


def wanted_version() -> str:
    """Return the engine's version as go.mod requires it, without the v."""
    match = re.search(rf"^\s*{re.escape(_PACKAGE)} v(\S+)", (MODULES / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise EngineError(f"{MODULES / 'go.mod'} does not require {_PACKAGE}; restore the file from git")
    return match[1]


def _digest() -> str:
    """Name everything that decides the binary.

    The Go release is left out on purpose: which one comes first on PATH differs between shells, and a build takes
    minutes.
    """
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((MODULES / name).read_bytes())
    digest.update(" ".join((*_RECIPE, _ldflags(wanted_version()))).encode())
    return digest.hexdigest()


def _stamp() -> Path:
    return settings.CACHE / "engine.json"


def _is_built(target: Path) -> bool:
    """Compare with what the last finished build wrote down; a binary of other size or time is not its result."""
    try:
        stamp = json.loads(_stamp().read_text())
    except (FileNotFoundError, ValueError):
        return False
    if target.is_symlink() or not target.exists() or not (settings.BIN / EXECUTOR).exists():
        return False
    return isinstance(stamp, dict) and stamp.items() >= {"inputs": _digest(), **_identity(target)}.items()


def _identity(target: Path) -> dict[str, int]:
    status = target.stat()
    return {"bytes": status.st_size, "modified": status.st_mtime_ns}


def _ldflags(version: str) -> str:
    return f"-s -w -X {_VERSION_VARIABLE}=v{version}"


def _build(target: Path, version: str, progress: Callable[[str], None]) -> None:
    go = golang.find(golang.required(MODULES / "go.mod"))
    log = settings.LOGS / "engine-build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".pulumi.{os.getpid()}")
    command = [str(go.path), *_RECIPE, "-ldflags", _ldflags(version), "-o", str(draft), _COMMAND]
    progress(f"building pulumi {version} with {go.version} (cold: some 3 minutes and 3 GB of Go caches); log: {log}")
    began = time.monotonic()
    try:
        _run(command, log, lambda: progress(f"building pulumi {version}: {time.monotonic() - began:.0f} s"))
        _copy_executor(go.path, log)
        _check(draft, version)
        # The stamp is written last: whatever ends the build before, it starts again.
        _stamp().unlink(missing_ok=True)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    _stamp().parent.mkdir(parents=True, exist_ok=True)
    _write(_stamp(), json.dumps({"inputs": _digest(), "go": go.version, **_identity(target)}))
    progress(f"built pulumi {version} in {time.monotonic() - began:.0f} s")


def _run(command: list[str], log: Path, tick: Callable[[], None]) -> None:
    with log.open("wb") as output:
        output.write(f"{' '.join(command)}\n".encode())
        output.flush()
        process = subprocess.Popen(
            command, cwd=MODULES, env=golang.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while True:
                try:
                    process.wait(_SECONDS_BETWEEN_LINES)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-1]
        raise EngineError(
            f"building the engine failed ({last}); see {log}. Most often Go modules cannot be downloaded "
            "(set GOPROXY) or the disk is full (Go's caches need 3 GB under the home folder)"
        )


def _copy_executor(go: Path, log: Path) -> None:
    """Copy the script that runs a program, from the very SDK release the engine is built of."""
    listed = subprocess.run(
        [str(go), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _SDK],
        cwd=MODULES,
        env=golang.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    source = Path(listed.stdout.strip(), "python", "cmd", EXECUTOR)
    if listed.returncode or not source.is_file():
        raise EngineError(
            f"the Go module {_SDK} has no python/cmd/{EXECUTOR} ({listed.stderr.strip()}); "
            f"see {log}, and remove the module from Go's module cache if it is damaged"
        )
    _write(settings.BIN / EXECUTOR, source.read_text(), executable=True)


def _check(binary: Path, version: str) -> None:
    answer = subprocess.run([str(binary), "version"], capture_output=True, text=True, check=False).stdout.strip()
    if answer != f"v{version}":
        raise EngineError(f"the built engine says it is {answer!r}, not 'v{version}'; look at _VERSION_VARIABLE")


def _write_launcher(path: Path) -> None:
    content = launcher("lab.plugins.language_python")
    if not path.exists() or path.read_text() != content:
        _write(path, content, executable=True)


def launcher(module: str) -> str:
    """Return a script that becomes this interpreter running `module`, from any folder.

    -P keeps the working directory off the import path: it belongs to the user's program, whose modules may have the
    names of ours.
    """
    return f'#!/bin/sh\nexec "{sys.executable}" -P -m {module} "$@"\n'


def _link(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.symlink_to(source)
    draft.replace(target)


def _write(path: Path, content: str, *, executable: bool = False) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(content)
    if executable:
        draft.chmod(0o755)
    draft.replace(path)


def main() -> None:
    """Build and say what came of it."""
    try:
        engine = ensure_engine(lambda line: print(line, file=sys.stderr, flush=True))
    except EngineError as error:
        sys.exit(f"lab: {error}")
    print(f"pulumi {engine.version}: {shutil.which(engine.path) or engine.path}")


if __name__ == "__main__":
    main()
