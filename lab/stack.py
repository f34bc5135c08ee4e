"""Runs `pulumi up` and `pulumi destroy` for the checkout's own program in the lab's environment."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab import environment, settings

STACK = "lab"


def pulumi(
    arguments: Sequence[str], *, capture: bool = False, folder: Path = settings.ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `pulumi` in a project's folder with the lab's environment; the caller checks the exit code."""
    command = ["pulumi", *arguments, "--non-interactive"]
    pipe = subprocess.PIPE if capture else None
    with subprocess.Popen(
        command, cwd=folder, env=environment.variables(), text=True, stdout=pipe, stderr=pipe
    ) as process:
        while True:
            try:
                output, errors = process.communicate()
            except KeyboardInterrupt:
                # The terminal interrupts pulumi, too. Keep waiting, so that it can write its state and end by itself.
                continue
            return subprocess.CompletedProcess(command, process.returncode, output, errors)


def up() -> int:
    """Select or create the stack, and run `pulumi up`; return pulumi's exit code."""
    selected = pulumi(["stack", "select", STACK, "--create"])
    if selected.returncode:
        return selected.returncode
    return pulumi(["up", "--stack", STACK, "--yes", "--suppress-permalink", "--suppress-progress"]).returncode


def exists() -> bool:
    """Tell whether the stack has a state, without starting the engine."""
    return any((settings.BACKEND / ".pulumi" / "stacks").glob(f"*/{STACK}.json"))


def destroy() -> int:
    """Destroy the stack's resources, also after an interrupted update; return pulumi's exit code."""
    _unlock()
    # --refresh also removes the pending operations of a crash from the state, according to the API.
    return pulumi(
        ["destroy", "--stack", STACK, "--yes", "--refresh", "--suppress-permalink", "--suppress-progress"]
    ).returncode


def forget() -> None:
    """Remove the stack's state."""
    _unlock()
    removed = pulumi(["stack", "rm", STACK, "--yes", "--force", "--preserve-config"], capture=True)
    if removed.returncode:
        raise RuntimeError(f"the state of stack {STACK!r} could not be removed: {removed.stderr.strip()}")


def _unlock() -> None:
    """Remove the lock of a `pulumi` process that was killed."""
    pulumi(["cancel", "--stack", STACK, "--yes"], capture=True)
