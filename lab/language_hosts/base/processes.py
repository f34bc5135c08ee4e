"""The processes of a language host. They end by themselves, when the engine cancels, or when the host ends."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.language_hosts.base.errors import EnvironmentUnusableError

_GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Output:
    """A piece of a process's output; one of the two fields is empty."""

    stdout: bytes = b""
    stderr: bytes = b""


class Child:
    """One running process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def wait(self) -> int:
        """Wait for the end and return the exit code; a negative one is the signal that ended the process."""
        return self._process.wait()

    def output(self) -> Iterator[Output]:
        """Yield the output of a captured process as it comes, until both its streams are closed."""
        pieces: queue.SimpleQueue[Output | None] = queue.SimpleQueue()
        for name in ("stdout", "stderr"):
            threading.Thread(target=self._pump, args=(name, pieces), daemon=True).start()
        still_open = 2
        while still_open:
            piece = pieces.get()
            if piece is None:
                still_open -= 1
            else:
                yield piece

    def interrupt(self) -> None:
        """Send SIGTERM, and SIGKILL five seconds later if the process still runs.

        Not SIGINT: Python would print a traceback below the error because of which the engine cancels.
        """
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            timer = threading.Timer(_GRACE_SECONDS, self.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """Kill the process if it runs."""
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _pump(self, name: str, pieces: "queue.SimpleQueue[Output | None]") -> None:
        with getattr(self._process, name) as stream:
            while data := os.read(stream.fileno(), 65536):
                pieces.put(Output(**{name: data}))
        pieces.put(None)


class Children:
    """The running processes of a language host."""

    def __init__(self) -> None:
        self._running: dict[int, Child] = {}

    @contextlib.contextmanager
    def start(
        self, command: Sequence[str], *, folder: Path, environment: Mapping[str, str], captured: bool
    ) -> Iterator[Child]:
        """Start a process, and kill it at the end of the block.

        It writes to this process's own stdout and stderr, which the engine reads, or is `captured` for `Child.output`.
        Raises FileNotFoundError when the command or folder does not exist.
        """
        stream = subprocess.PIPE if captured else None
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, bufsize=0
        )
        child = Child(process)
        self._running[process.pid] = child
        try:
            yield child
        finally:
            child.kill()
            child.wait()
            del self._running[process.pid]

    def run_to_end(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Output]:
        """Run a step of an installation and yield its output. Raises EnvironmentUnusableError when it fails."""
        with self.start(command, folder=folder, environment=environment, captured=True) as child:
            yield from child.output()
            code = child.wait()
        if code:
            raise EnvironmentUnusableError(f"`{' '.join(command)}` failed with exit code {code}; see its output above")

    def interrupt(self) -> None:
        """Interrupt all processes; see `Child.interrupt`."""
        for child in list(self._running.values()):
            child.interrupt()

    def kill(self) -> None:
        """Kill all processes."""
        for child in list(self._running.values()):
            child.kill()
