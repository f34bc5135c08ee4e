"""Runs a command beside others, with a low priority and with its output in a file."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

_NICE: Final = 10
"""A tenth of the weight of other processes. With less, tests would not end in time while the machines boot."""
_PATIENCE_SECONDS: Final = 60.0


class Background:
    """A command that runs from the beginning of a `with` block. If it still runs at the block's end, it is interrupted.

    It has its own session (setsid(2)). A signal to its process group also reaches the processes that it has started.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """Prepare it; `log` is the file for its stdout and stderr."""
        self.command = command
        self.log = log

    def __enter__(self) -> Self:
        """Start it."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._began = time.time()
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                # A shell lets the commands that it starts with `&` ignore SIGINT.
                ["env", "--default-signal=INT", "nice", "-n", str(_NICE), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # With autogroup scheduling (sched(7)), nice(1) counts only within a session. This sets the session's own value.
        with suppress(OSError):
            Path(f"/proc/{self._process.pid}/autogroup").write_text(str(_NICE))
        return self

    def __exit__(self, *_: object) -> None:
        """Interrupt it, as Ctrl-C does, if it still runs. It is killed if it has not ended after a minute."""
        try:
            if not self.has_ended:
                os.killpg(self._process.pid, signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_PATIENCE_SECONDS)
        finally:
            # Also what it started and left behind.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    @property
    def seconds(self) -> float:
        """How long it ran, to its last line."""
        return self.log.stat().st_mtime - self._began

    def wait(self) -> int:
        """Wait for its end. Return its exit code."""
        return self._process.wait()
