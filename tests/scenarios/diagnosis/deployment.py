"""A `pulumi up` that runs the proof again although no resource is new, and what it shows when the proof fails."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import settings, stack
from tests.scenarios.diagnosis.answers import SCREEN_COLUMNS, SCREEN_LINES, rows

_CONFIG = settings.ROOT / f"Pulumi.{stack.STACK}.yaml"
_TIMEOUT = re.compile(r"(:verifyTimeoutSeconds: )\d+")
_SMALLEST = 30
"""Seconds; the program refuses less."""
_BLOCK = re.compile(r"^  (\S+) \((\S+)\):$")
_WELL_KNOWN = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


@dataclass(frozen=True)
class Up:
    """One `pulumi up`."""

    exit_code: int
    seconds: float
    output: str
    screens: Mapping[str, Sequence[str]]
    """Name of a failed resource -> the lines that pulumi shows about it."""


class Deployment:
    """The lab's stack. Each `up` runs the proof again, and nothing else: it would mend what a cause has broken."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _CONFIG.name
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> Up:
        """Run `pulumi up --refresh` with the shortest timeout of the proof, which `up` has too."""
        self._path.write_text(with_shortest_timeout(_CONFIG.read_text()))
        return self._run("--refresh", f"--config-file={self._path}")

    def up(self, *arguments: str) -> Up:
        """Run `pulumi up` with `arguments`, and with it the proof."""
        again = (f"--replace=**::vpn-{command}-*" for command in ("verify", "ping"))
        return self._run(f"--config-file={self._path}", *again, *arguments)

    def put_back(self) -> Up:
        """Run `pulumi up --refresh` with the stack's own configuration."""
        return self._run("--refresh")

    def _run(self, *arguments: str) -> Up:
        began = time.monotonic()
        options = ["--stack", stack.STACK, "--yes", "--skip-preview", "--suppress-permalink", "--suppress-progress"]
        done = stack.pulumi(["up", *options, *arguments], capture=True)
        output = done.stdout + done.stderr
        return Up(done.returncode, time.monotonic() - began, output, screens(output))


def with_shortest_timeout(config: str) -> str:
    """Return the configuration with the smallest verifyTimeoutSeconds."""
    changed, count = _TIMEOUT.subn(rf"\g<1>{_SMALLEST}", config)
    if count != 1:
        raise ValueError(f"verifyTimeoutSeconds stands {count} times in {_CONFIG.name}")
    return changed


def screens(output: str) -> dict[str, list[str]]:
    """Return the lines about each resource below `Diagnostics:`, without their indentation."""
    found: dict[str, list[str]] = {}
    _, _, diagnostics = output.partition("Diagnostics:\n")
    current: list[str] | None = None
    for line in diagnostics.splitlines():
        if block := _BLOCK.match(line):
            current = found.setdefault(block[2], [])
        elif line and not line.startswith("  "):
            current = None
        elif current is not None and line.strip():
            current.append(line.removeprefix("    "))
    return found


def judge(up: Up, name: str, patterns: Sequence[str], secrets: Sequence[str]) -> list[str]:
    """Return what is not as expected of a red `pulumi up`.

    Expected are all `patterns`, in this order, on the screen of the resource `name`, and no secret.
    """
    problems = [f"a secret of {len(secret)} characters is in the output" for secret in secrets if secret in up.output]
    if _WELL_KNOWN.search(up.output):
        problems.append("a private key is in the output")
    if up.exit_code == 0:
        return [*problems, "pulumi up is green"]
    screen = list(up.screens.get(name, ()))
    if not screen:
        return [*problems, f"pulumi up shows nothing of {name}, but of {sorted(up.screens)}"]
    text, position = "\n".join(screen), 0
    for pattern in patterns:
        found = re.compile(pattern, re.I | re.M).search(text, position)
        if found is None:
            problems.append(f"{name}: {pattern!r} is not shown, but: {text}")
            break
        position = found.end()
    if rows(screen) > SCREEN_LINES:
        problems.append(f"{name} takes {rows(screen)} rows of {SCREEN_COLUMNS} columns, not {SCREEN_LINES}")
    return problems
