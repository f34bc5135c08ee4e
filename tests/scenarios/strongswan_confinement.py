"""A program in a Debian tree and a network namespace of its own; whatever it writes is in memory and ends with it."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import processes, settings
from lab.machines import host
from lab.machines.toolroot import CHROOT_SCRIPT

_START_SECONDS = 10.0


class Confined:
    """A running program, and a way to its files and namespaces."""

    def __init__(self, name: str, log: Path) -> None:
        self._name = name
        self.log = log

    @property
    def pid(self) -> int:
        """The first process inside; raises ProcessLookupError when the program has ended."""
        process = processes.find(self._name)
        children = process.children() if process else []
        if not children:
            raise ProcessLookupError(f"{self._name} has ended; its last words: {self.log.read_text()[-1000:]}")
        return children[0].pid

    def run(self, *argv: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command beside the program; the caller looks at the exit code."""
        return subprocess.run(
            [*host.enter(self.pid), *argv], capture_output=True, text=True, timeout=timeout, check=False
        )

    def write(self, path: str, text: str) -> None:
        """Write a file that the program sees at `path`; only root can read it."""
        target = Path(f"/proc/{self.pid}/root{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(mode=0o600)
        target.write_text(text)

    def wait_until(self, *argv: str) -> None:
        """Wait until a command succeeds beside the program; raises TimeoutError with what it said last."""
        deadline = time.monotonic() + _START_SECONDS
        while (said := self.run(*argv)).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{' '.join(argv)}: {said.stderr}; log: {self.log.read_text()[-1000:]}")
            time.sleep(0.1)


@contextmanager
def confined(
    name: str, argv: Sequence[str], *, namespace: str, tree: Path, files: Mapping[str, str]
) -> Iterator[Confined]:
    """Run `argv` over a throw-away layer on `tree`, with `files` (absolute path -> text, mode 0600) written first.

    It is recorded among the lab's processes, so that `lab down` ends it too if this process is killed. Needs root.
    """
    log = settings.LOGS / f"{name}.log"
    processes.stop(name)
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as directory:
        store, content = Path(directory) / "store", Path(directory) / "files"
        store.mkdir()
        content.mkdir()
        for path, text in files.items():
            target = content / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(mode=0o600)
            target.write_text(text)
        isolated = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        script = 'mount -t tmpfs tmpfs "$3"; exec "$@"'
        layer = ["sh", "-euc", script, "sh", str(CHROOT_SCRIPT), str(tree), str(store), str(content)]
        # A TUN device is asked for through its device node, which the new /dev lacks.
        device = ["sh", "-euc", 'mkdir -p /dev/net; mknod /dev/net/tun c 10 200; exec "$@"', "sh"]
        processes.start(name, [*isolated, *layer, *device, *argv], log=log, namespace=namespace)
        try:
            program = Confined(name, log)
            _wait_for_first_process(program)
            yield program
        finally:
            processes.stop(name)


def _wait_for_first_process(program: Confined) -> None:
    """Wait until the first process inside exists: it appears a moment after the command that makes its namespaces."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            _ = program.pid
        except ProcessLookupError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
