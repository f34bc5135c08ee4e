"""tcpdump on a host of the lab, beside something else that happens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lab import hosts

_LONGEST_SECONDS: Final = 600.0
"""A capture that nothing has ended by then ends by itself."""

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
"""Starts tcpdump and waits until it listens. Prints a folder: its process id, what it prints, what it captures."""

_END: Final = """
cd "$1"
sleep 0.3
kill -INT "$(cat pid)" || true
while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.05; done
cat messages packets
rm -r "$1"
"""
"""Ends tcpdump after what is on its way has arrived; prints everything."""


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
    tcpdump = ["tcpdump", "-l", "-n", "--immediate-mode", "-i", hosts.interface(host), *direction, *expression]
    return ["timeout", "--preserve-status", "--signal=INT", f"{seconds}", *tcpdump]


@contextmanager
def capturing(host: str, expression: Sequence[str] = ()) -> Iterator[Capture]:
    """Capture on `host` while the block runs; tcpdump listens when the block begins, the text is there after it.

    Raises RuntimeError with tcpdump's words when it does not start.
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
