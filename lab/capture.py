"""Runs tcpdump on a host of the lab, also in the background."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lab import hosts

_LONGEST_SECONDS: Final = 600.0
"""A capture ends after this time even if nothing ends it."""

_START: Final = """
folder=$(mktemp -d); cd "$folder"
setsid "$@" >packets 2>messages </dev/null &
echo $! >pid
until grep -q '^listening on' messages; do
    kill -0 "$(cat pid)" 2>/dev/null || { cat messages >&2; rm -r "$folder"; exit 1; }
    sleep 0.05
done
echo "$folder"
"""
"""Starts tcpdump and waits until it listens. Prints the folder with its process id, its messages and its packets."""

_END: Final = """
cd "$1"
sleep 0.3
kill -INT "$(cat pid)" || true
while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.05; done
cat messages packets
rm -r "$1"
"""
"""Waits for packets that are on their way, ends tcpdump, and prints its messages and packets."""


@dataclass
class Capture:
    """The output of tcpdump; complete at the end of the `capturing` block."""

    host: str
    text: str = ""

    @property
    def packets(self) -> list[str]:
        """The lines that are packets, which start with a time."""
        return [line for line in self.text.splitlines() if line[:2].isdigit() and ":" in line[:9]]


def command(host: str, seconds: float, expression: Sequence[str]) -> list[str]:
    """Return the tcpdump command that captures `expression` (pcap-filter(7)) on `host` for `seconds`."""
    # In the Internet every packet comes in once and goes out once; count only the incoming one.
    direction = ["-Q", "in"] if host == hosts.INTERNET else []
    tcpdump = ["tcpdump", "-l", "-n", "--immediate-mode", "-i", hosts.interface(host), *direction, *expression]
    return ["timeout", "--preserve-status", "--signal=INT", f"{seconds}", *tcpdump]


@contextmanager
def capturing(host: str, expression: Sequence[str] = ()) -> Iterator[Capture]:
    """Capture on `host` while the block runs. tcpdump listens when the block begins; the text is complete after it.

    Raises RuntimeError with tcpdump's message when it does not start.
    """
    capture = Capture(host)
    started = hosts.run(host, ["sh", "-euc", _START, "sh", *command(host, _LONGEST_SECONDS, expression)])
    if started.returncode:
        raise RuntimeError(f"tcpdump on {host} ended at once: {started.stderr.decode(errors='replace').strip()}")
    folder = started.stdout.decode().strip()
    try:
        yield capture
    finally:
        capture.text = hosts.run(host, ["sh", "-euc", _END, "sh", folder]).stdout.decode(errors="replace")
