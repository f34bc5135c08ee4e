"""One end of many connections: a process inside a network namespace.

`serve ADDRESS PORT` accepts connections and keeps them. `open ADDRESS TO PORT KEPT SILENT MORE RATE HOLD` opens KEPT
connections and keeps them, and prints `open N` when N are up. Then it sends SYNs of other connections to the address
SILENT, where nothing answers: first MORE of them, RATE a second, and prints `sent`. After that HOLD a second, without
end.

Run as a script by tests.scenarios.crowd.
"""

import random
import resource
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from tests.scenarios.checksum import checksum

_FIRST_PORT: Final = 1024
_BACKLOG: Final = 4096
_PATIENCE_SECONDS: Final = 3.0
_SYN: Final = 2


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


def syns(address: str, to: str) -> Iterator[bytes]:
    """Yield SYNs (RFC 9293), each of another connection: their ports are drawn by lot."""
    chance = random.Random(1)  # noqa: S311 - it chooses port numbers, no secret
    ends = socket.inet_aton(address) + socket.inet_aton(to)
    while True:
        ports = chance.sample(range(10_000, 60_000), 2)
        head = struct.pack("!2H2L2B3H", *ports, 0, 0, 5 << 4, _SYN, 1024, 0, 0)
        of_pseudo_header = checksum(ends + struct.pack("!2H", 6, len(head)) + head)
        yield head[:16] + of_pseudo_header.to_bytes(2, "big") + head[18:]


def send(segments: Iterable[bytes], address: str, to: str, rate: int) -> None:
    """Send TCP segments, at most `rate` a second: a busy machine does not catch up in a burst."""
    due = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as link:
        link.bind((address, 0))
        for segment in segments:
            link.sendto(segment, (to, 0))
            now = time.monotonic()
            due = max(due + 1 / rate, now)
            time.sleep(due - now)


def room(files: int) -> None:
    """Allow this process so many open files, up to its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(files, hard)), hard))


def main() -> None:
    """Be one end, until standard input ends."""
    role, address, *rest = sys.argv[1:]
    if role == "serve":
        serve(address, int(rest[0]))
    to, port, kept, silent, more, rate, hold = rest
    up = connections(address, to, int(port), int(kept))
    print("open", len(up), flush=True)
    others = syns(address, silent)
    send(islice(others, int(more)), address, silent, int(rate))
    print("sent", more, flush=True)
    if int(hold):
        send(others, address, silent, int(hold))
    sys.stdin.read()


if __name__ == "__main__":
    main()
