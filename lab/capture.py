"""tcpdump on a host of the lab, beside something else that happens."""

import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from lab import hosts

_START_SECONDS = 1.5


@dataclass
class Capture:
    """What tcpdump printed; complete once the block that made it has ended."""

    host: str
    text: str = ""

    @property
    def packets(self) -> list[str]:
        """The lines that are packets: all that start with a time."""
        return [line for line in self.text.splitlines() if line[:2].isdigit() and ":" in line[:9]]


def command(host: str, seconds: float, expression: Sequence[str]) -> list[str]:
    """Return the tcpdump command that captures `expression` (pcap-filter(7)) on `host` for `seconds`."""
    # In the Internet every packet comes in once and goes out once, whoever sent it: once is enough.
    direction = ["-Q", "in"] if host == hosts.INTERNET else []
    tcpdump = ["tcpdump", "-l", "-n", "-i", hosts.interface(host), *direction, *expression]
    return ["timeout", "--preserve-status", "--signal=INT", f"{seconds}", *tcpdump]


@contextmanager
def capturing(host: str, seconds: float, expression: Sequence[str] = ()) -> Iterator[Capture]:
    """Capture on `host` for `seconds`, at least as long as the block runs; the text is there after the block."""
    capture = Capture(host)
    with ThreadPoolExecutor(max_workers=1) as pool:
        running: Future[subprocess.CompletedProcess[bytes]] = pool.submit(
            hosts.run, host, command(host, seconds, expression), timeout=seconds + 30
        )
        try:
            # tcpdump says when it listens, but to a pipe that is read at the end only.
            _watch_start(running, _START_SECONDS)
            yield capture
        finally:
            finished = running.result()
            capture.text = (finished.stderr + finished.stdout).decode(errors="replace")


def _watch_start(running: "Future[subprocess.CompletedProcess[bytes]]", seconds: float) -> None:
    """Wait `seconds`; raise RuntimeError with tcpdump's words if it has ended by then."""
    try:
        ended = running.result(timeout=seconds)
    except TimeoutError:
        return
    raise RuntimeError(f"tcpdump ended at once: {ended.stderr.decode(errors='replace').strip()}")
