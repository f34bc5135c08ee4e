"""Many connections from one host to the Internet: both ends, each a process in a network namespace.

`serve ADDRESS PORT` accepts connections and keeps them. `open ADDRESS TO PORT KEPT MORE RATE` opens KEPT connections
and keeps them, and prints `open N` when N are up. Then it sends MORE SYNs of other connections, RATE a second, and
prints `sent`. `crowd` runs both as scripts.
"""

import random
import resource
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from lab import settings
from tests.scenarios.checksum import checksum
from tests.scenarios.sites import Site

_PORT: Final = 7405
_FIRST_PORT: Final = 1024
_BACKLOG: Final = 4096
_PATIENCE_SECONDS: Final = 3.0
_SYN: Final = 2


class CrowdError(Exception):
    """A process of the crowd ended or printed something else; the message has its last output."""


class Crowd:
    """The output of the host that opens connections."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def hear(self, word: str) -> list[str]:
        """Return the rest of the next line, which has to begin with `word`. Raises CrowdError."""
        assert self._process.stdout
        line = self._process.stdout.readline().split()
        if not line or line[0] != word:
            assert self._process.stderr
            raise CrowdError(f"{line} instead of {word!r}: {self._process.stderr.read()[-1000:] if not line else ''}")
        return line[1:]


@contextmanager
def crowd(site: Site, *, kept: int, more: int, rate: int) -> Iterator[Crowd]:
    """Open connections from a site's private host to a server on the Internet until the block ends."""
    web = str(settings.WEB_SERVER)
    with ExitStack() as stack:
        server = stack.enter_context(_process(settings.INTERNET_NAMESPACE, "serve", web, _PORT))
        Crowd(server).hear("serving")
        host = site.private_host
        opener = _process(host.namespace, "open", host.private_ip, web, _PORT, kept, more, rate)
        yield Crowd(stack.enter_context(opener))


@contextmanager
def _process(namespace: str, *arguments: object) -> "Iterator[subprocess.Popen[str]]":
    words = [sys.executable, "-m", "tests.scenarios.crowd", *map(str, arguments)]
    with subprocess.Popen(
        ["ip", "netns", "exec", namespace, *words],
        cwd=settings.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def serve(address: str, port: int) -> None:
    """Accept connections and keep them."""
    room(1 << 17)
    kept = []
    with socket.create_server((address, port), backlog=_BACKLOG) as listener:
        print("serving", flush=True)
        while True:
            kept.append(listener.accept()[0])


def connections(address: str, to: str, port: int, number: int) -> list[socket.socket]:
    """Begin so many connections, and return those that are up."""
    room(number + 100)
    poll, begun = select.poll(), dict[int, socket.socket]()
    up: list[socket.socket] = []

    def collect(milliseconds: int) -> None:
        for descriptor, _ in poll.poll(milliseconds):
            poll.unregister(descriptor)
            link = begun.pop(descriptor)
            if not link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                up.append(link)

    for offset in range(number):
        link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.setblocking(False)
        link.bind((address, _FIRST_PORT + offset))
        link.connect_ex((to, port))
        begun[link.fileno()] = link
        poll.register(link, select.POLLOUT)
        # An emulated gateway forwards no faster.
        collect(0 if len(begun) < 64 else 100)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while begun and time.monotonic() < deadline:
        collect(100)
    for link in begun.values():
        link.close()
    return up


def knock(address: str, to: str, number: int, rate: int) -> None:
    """Send SYNs (RFC 9293) of so many connections, `rate` a second. Nothing answers them."""
    chance = random.Random(1)  # noqa: S311 - no secret
    ends = socket.inet_aton(address) + socket.inet_aton(to)
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as link:
        link.bind((address, 0))
        for sent in range(number):
            ports = chance.sample(range(10_000, 60_000), 2)
            head = struct.pack("!2H2L2B3H", *ports, sent, 0, 5 << 4, _SYN, 1024, 0, 0)
            of_pseudo_header = checksum(ends + struct.pack("!2H", 6, len(head)) + head)
            link.sendto(head[:16] + of_pseudo_header.to_bytes(2, "big") + head[18:], (to, 0))
            time.sleep(max(0.0, began + sent / rate - time.monotonic()))


def room(files: int) -> None:
    """Allow this process so many open files, up to its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(files, hard)), hard))


def main() -> None:
    """Be one end, until standard input ends."""
    role, address, *rest = sys.argv[1:]
    if role == "serve":
        serve(address, int(rest[0]))
    to, *numbers = rest
    port, kept, more, rate = map(int, numbers)
    up = connections(address, to, port, kept)
    print("open", len(up), flush=True)
    knock(address, to, more, rate)
    print("sent", more, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
