"""A program in a separate Debian tree and network namespace. Its files are in memory and end with it."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import processes, settings
from lab.machines import host
from lab.machines.toolroot import CHROOT_SCRIPT
from tests.scenarios.gateway import Machine

_START_SECONDS = 10.0


class Confined(Machine):
    """A running program. Commands run beside it, with its files and namespaces."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log

    @property
    def pid(self) -> int:
        """The first process inside. Raises ProcessLookupError when the program has ended."""
        process = processes.find(self.name)
        children = process.children() if process else []
        if not children:
            raise ProcessLookupError(f"{self.name} has ended; the end of its log: {self.log.read_text()[-1000:]}")
        return children[0].pid

    def execute(self, command: Sequence[str], *, stdin: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command beside the program."""
        inside = [*host.enter(self.pid), *command]
        return subprocess.run(inside, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)

    def wait_until(self, script: str) -> None:
        """Wait until a script succeeds beside the program. Raises TimeoutError with its last output."""
        deadline = time.monotonic() + _START_SECONDS
        while (done := self.ask(script)).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{script}: {done.stderr}; log: {self.log.read_text()[-1000:]}")
            time.sleep(0.1)


@contextmanager
def confined(
    name: str, argv: Sequence[str], *, namespace: str, tree: Path, files: Mapping[str, str]
) -> Iterator[Confined]:
    """Run `argv` on a temporary layer over `tree`, with `files` (absolute path -> text, mode 0600) written first.

    The lab records the process, so that `lab down` ends it if this process is killed. Needs root.
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
        # The new /dev lacks the device node through which a TUN device is created.
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
