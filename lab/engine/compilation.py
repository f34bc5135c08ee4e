"""Compile a Go program of locked modules once, and again only when something that decides the binary has changed."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.engine import golang
from lab.engine.errors import EngineError

# These programs are not debugged. Without DWARF they compile in nine tenths of the time.
_RECIPE = ("build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-gcflags=all=-dwarf=false")
_SECONDS_BETWEEN_LINES = 15.0


@dataclass(frozen=True)
class Compilation:
    """What to compile, and where to."""

    what: str
    """Its name, for the user."""
    modules: Path
    """The folder with go.mod and go.sum."""
    package: str
    """The Go package, relative to `modules` or by its import path."""
    ldflags: str
    target: Path
    stamp: Path
    """Where a finished compilation writes down what it was made of."""
    sources: tuple[Path, ...] = ()
    """Sources of ours; those of modules are named by go.sum."""
    cost: str = ""
    """What it costs with empty caches, for the user."""

    def digest(self) -> str:
        """Name everything that decides the binary.

        The Go release is left out on purpose: which one comes first on PATH differs between shells, and a build takes
        minutes.
        """
        digest = hashlib.sha256()
        for path in (self.modules / "go.mod", self.modules / "go.sum", *self.sources):
            digest.update(path.read_bytes())
        digest.update(" ".join((*_RECIPE, self.package, self.ldflags)).encode())
        return digest.hexdigest()

    def is_done(self) -> bool:
        """Compare with what the last finished one wrote down; a binary of other size or time is not its result."""
        try:
            stamp = json.loads(self.stamp.read_text())
        except (FileNotFoundError, ValueError):
            return False
        if self.target.is_symlink() or not self.target.exists():
            return False
        return isinstance(stamp, dict) and stamp.items() >= {"inputs": self.digest(), **_identity(self.target)}.items()


def compile_if_needed(
    compilation: Compilation,
    progress: Callable[[str], None],
    *,
    finish: Callable[[Path, golang.Go], None] = lambda *_: None,
    is_complete: Callable[[], bool] = lambda: True,
) -> None:
    """Compile, unless it is done and `is_complete`.

    `finish` is given the new binary before it takes its place, and the Go that made it: what it raises ends it.
    `progress` gets one line for each thing worth knowing. Raises EngineError, one line with the remedy.
    """
    if compilation.is_done() and is_complete():
        return
    what, target = compilation.what, compilation.target
    go = golang.find(golang.required(compilation.modules / "go.mod"))
    log = settings.LOGS / f"{compilation.stamp.stem}-build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    command = [str(go.path), *_RECIPE, "-ldflags", compilation.ldflags, "-o", str(draft), compilation.package]
    progress(f"building {what} with {go.version} ({compilation.cost}); log: {log}")
    began = time.monotonic()
    try:
        _run(what, command, compilation.modules, log, progress)
        finish(draft, go)
        # The stamp is written last: whatever ends the build before, it starts again.
        compilation.stamp.unlink(missing_ok=True)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    compilation.stamp.parent.mkdir(parents=True, exist_ok=True)
    write(compilation.stamp, json.dumps({"inputs": compilation.digest(), "go": go.version, **_identity(target)}))
    progress(f"built {what} in {time.monotonic() - began:.0f} s")


def _identity(target: Path) -> dict[str, int]:
    status = target.stat()
    return {"bytes": status.st_size, "modified": status.st_mtime_ns}


def _run(what: str, command: list[str], folder: Path, log: Path, progress: Callable[[str], None]) -> None:
    began = time.monotonic()
    with log.open("wb") as output:
        output.write(f"{' '.join(command)}\n".encode())
        output.flush()
        process = subprocess.Popen(
            command, cwd=folder, env=golang.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while True:
                try:
                    process.wait(_SECONDS_BETWEEN_LINES)
                    break
                except subprocess.TimeoutExpired:
                    progress(f"building {what}: {time.monotonic() - began:.0f} s")
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-1]
        raise EngineError(
            f"building {what} failed ({last}); see {log}. Most often Go modules cannot be downloaded "
            "(set GOPROXY) or the disk is full (Go's caches need 3 GB under the home folder)"
        )


def write(path: Path, content: str, *, executable: bool = False) -> None:
    """Write a file so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(content)
    if executable:
        draft.chmod(0o755)
    draft.replace(path)
