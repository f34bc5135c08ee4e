"""`pulumi up` and `pulumi destroy` of the checkout's own program with the lab's environment."""

import subprocess
from collections.abc import Sequence

from lab import environment, settings

STACK = "lab"


def pulumi(arguments: Sequence[str], *, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `pulumi` in the checkout with the lab's environment; the caller looks at the exit code."""
    command = ["pulumi", *arguments, "--non-interactive"]
    pipe = subprocess.PIPE if capture else None
    with subprocess.Popen(
        command, cwd=settings.ROOT, env=environment.variables(), text=True, stdout=pipe, stderr=pipe
    ) as process:
        while True:
            try:
                output, errors = process.communicate()
            except KeyboardInterrupt:
                # The terminal has told pulumi, too: it writes its state and ends by itself, unless killed for waiting.
                continue
            return subprocess.CompletedProcess(command, process.returncode, output, errors)


def up() -> int:
    """Select (or create) the stack and bring it up; return pulumi's exit code."""
    selected = pulumi(["stack", "select", STACK, "--create"])
    if selected.returncode:
        return selected.returncode
    return pulumi(["up", "--stack", STACK, "--yes", "--suppress-permalink", "--suppress-progress"]).returncode


def exists() -> bool:
    """Say whether the stack has a state, without starting the engine."""
    return any((settings.BACKEND / ".pulumi" / "stacks").glob(f"*/{STACK}.json"))


def destroy() -> int:
    """Destroy whatever the stack holds, also after an interrupted update; return pulumi's exit code."""
    _unlock()
    # --refresh also clears operations that a crash left pending: the API says what really exists.
    return pulumi(
        ["destroy", "--stack", STACK, "--yes", "--refresh", "--suppress-permalink", "--suppress-progress"]
    ).returncode


def forget() -> None:
    """Remove the stack's state: its cloud is gone, so nothing is left that it could describe."""
    _unlock()
    removed = pulumi(["stack", "rm", STACK, "--yes", "--force", "--preserve-config"], capture=True)
    if removed.returncode:
        raise RuntimeError(f"the state of stack {STACK!r} could not be removed: {removed.stderr.strip()}")


def _unlock() -> None:
    """Take away the lock that a pulumi which was killed has left."""
    pulumi(["cancel", "--stack", STACK, "--yes"], capture=True)
