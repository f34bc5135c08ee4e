"""The steady marked stream between the private hosts, in both directions, and the packets that arrived."""

import secrets
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from lab import settings
from tests.scenarios import endpoint, outages
from tests.scenarios.outages import Crossing
from tests.scenarios.sites import Pair, Site

WAYS: Final = (("uk", "au"), ("au", "uk"))
"""Directions: from which site to which."""

IN_FLIGHT_SECONDS: Final = 1.5
"""A packet that was sent so long ago and is not recorded as received is lost."""

_START_SECONDS = 120.0
_STOP_SECONDS = 5.0

Way = tuple[str, str]


class StreamError(Exception):
    """An end of the stream does not run; the message has its last output."""


@dataclass
class Journal:
    """The packets of one end, by kind. One thread adds entries, others read them; entries are never removed."""

    sent: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    """(number, seconds since the epoch), in order."""
    received: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    """Number -> first arrival."""

    def read(self, lines: Iterable[str]) -> None:
        """Add the lines that an end has written."""
        for line in lines:
            event, kind, number, at = line.split()
            if event == "sent":
                self.sent[kind].append((int(number), float(at)))
            else:
                self.received[kind].setdefault(int(number), float(at))


class Stream:
    """Both ends, during the `with` block. At first they send only probes of the Internet."""

    def __init__(self, pair: Pair) -> None:
        # No other packet contains this by chance. It is printable, so that it can be seen in a dump.
        self.marker: Final = f"tunnel-faults-{secrets.token_hex(8)}".encode()
        self._pair = pair
        self._ends: dict[str, _End] = {}

    def __enter__(self) -> Self:
        """Start both ends. Raises StreamError when one does not answer within two minutes."""
        try:
            for site in self._pair.sites:
                self._ends[site.name] = _End(site, self._pair.other(site), self.marker)
            for end in self._ends.values():
                end.wait_for_life()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both ends."""
        self._stop()

    def send(self, kinds: Mapping[str, Sequence[str]]) -> None:
        """Let each site send these kinds (endpoint.KINDS, endpoint.LOAD) from now on; a missing site sends nothing."""
        for name, end in self._ends.items():
            end.command(kinds.get(name, ()))

    def crossings(self, way: Way, since: float, *, kind: str = "udp") -> list[Crossing]:
        """Return the packets of `kind` that were sent since a moment, in the direction `way`.

        The newest may still be on their way; see IN_FLIGHT_SECONDS. An ICMP packet has arrived when its echo is back.
        Raises StreamError when an end has died.
        """
        sender, receiver = (self._ends[name].journal() for name in way)
        sent, arrived = sender.sent[kind], (sender if kind == "icmp" else receiver).received[kind]
        return outages.join(sent[bisect_left(sent, since, key=lambda entry: entry[1]) :], arrived)

    def probes(self, site: str, since: float) -> list[Crossing]:
        """Return the requests of a site's private host to the web server on the Internet since a moment."""
        journal = self._ends[site].journal()
        sent = [entry for entry in journal.sent[endpoint.WEB] if entry[1] >= since]
        return outages.join(sent, journal.received[endpoint.WEB], late=endpoint.WEB_SECONDS)

    def _stop(self) -> None:
        for end in self._ends.values():
            end.stop()


class _End:
    """One process in a private host's namespace, and the thread that reads its output."""

    def __init__(self, site: Site, peer: Site, marker: bytes) -> None:
        self._name = site.private_host.name
        self._journal = Journal()
        options = {
            "local": site.private_host.private_ip,
            "peer": peer.private_host.private_ip,
            "web": settings.WEB_SERVER,
            "marker": marker.decode(),
        }
        self._process = subprocess.Popen(
            [
                *("ip", "netns", "exec", site.private_host.namespace, sys.executable, "-m", "tests.scenarios.endpoint"),
                *(f"--{name}={value}" for name, value in options.items()),
            ],
            cwd=settings.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"stream-{site.name}", daemon=True)
        self._reader.start()

    def wait_for_life(self) -> None:
        """Wait for its first probe of the Internet."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.journal().sent[endpoint.WEB]:
            if time.monotonic() > deadline:
                raise StreamError(f"the stream's end on {self._name} printed nothing for {_START_SECONDS:.0f} s")
            time.sleep(0.05)

    def journal(self) -> Journal:
        """Return its packets so far. Raises StreamError when it has ended."""
        if self._process.poll() is not None:
            output = self._process.stderr.read() if self._process.stderr else ""
            raise StreamError(f"the stream's end on {self._name} died: {output.strip()[-2000:]}")
        return self._journal

    def command(self, kinds: Iterable[str]) -> None:
        """Let it send these kinds."""
        assert self._process.stdin
        self._process.stdin.write(" ".join(kinds) + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End it."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout
        self._journal.read(self._process.stdout)
