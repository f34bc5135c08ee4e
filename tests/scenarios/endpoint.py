"""One end of the marked stream: a process inside a private host's network namespace.

It sends to the other end, receives from it, and asks a web server on the Internet. It writes lines
`EVENT KIND NUMBER SECONDS` to its standard output: `sent` or `received`, the kind, the sequence number, and seconds
since the epoch. `udp` and `tcp` are received by the other end, `icmp` when the echo comes back, `web` when the answer
comes. A line on standard input sets the kinds to send from now on: `udp icmp tcp load`. Its end ends the process.

Run as a script by tests.scenarios.stream. Every packet of every kind but `web` carries the marker in its first bytes.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from tests.scenarios.checksum import checksum

KINDS: Final = ("udp", "icmp", "tcp")
LOAD: Final = "load"
WEB: Final = "web"
"""Probes of the Internet, always on. They have no marker, because they cross the Internet in plain text."""

RATE: Final = 25.0
"""Packets a second, of each kind."""

_UDP_PORT, _TCP_PORT, _LOAD_PORT = 7401, 7402, 7403
_CONNECT_SECONDS = 1.0
_TCP_SECONDS = 3.0
"""A TCP connection that carries nothing for so long is given up, and a new one is tried at once."""
_WEB_RATE = 2.0
WEB_SECONDS: Final = 3.0
"""A later answer of the web server does not count. This is enough for one lost SYN and its repetition."""
_FLUSH_SECONDS = 0.2
_LOAD_BYTES_PER_SECOND = 1_000_000
_LOAD_RATE = 20.0
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_NUMBER = struct.Struct("!Q")


class End:
    """The state that the coroutines of one end share."""

    def __init__(self, local: str, peer: str, web: str, marker: bytes) -> None:
        self.local, self.peer, self.web, self.marker = local, peer, web, marker
        self.kinds: frozenset[str] = frozenset()
        self.lines: list[str] = []

    def note(self, event: str, kind: str, number: int, at: float | None = None) -> None:
        """Record an event, now unless `at` is set."""
        self.lines.append(f"{event} {kind} {number} {at or time.time():.4f}\n")

    def payload(self, number: int) -> bytes:
        """Return the payload of a packet: the marker, then its number."""
        return self.marker + _NUMBER.pack(number)

    def number(self, payload: bytes) -> int | None:
        """Return the number in a payload; None when it is not of this stream."""
        if not payload.startswith(self.marker) or len(payload) < len(self.marker) + _NUMBER.size:
            return None
        return int(_NUMBER.unpack_from(payload, len(self.marker))[0])

    async def ticks(self, kind: str, rate: float = RATE) -> AsyncIterator[int]:
        """Yield numbers at `rate` a second while `kind` is on. A busy machine does not catch up on missed ones."""
        number, due = 0, time.monotonic()
        while True:
            due = max(due + 1 / rate, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            if kind in self.kinds:
                number += 1
                yield number


async def datagrams(end: End) -> None:
    """Send and receive UDP."""
    link = _socket(socket.SOCK_DGRAM)
    link.bind((end.local, _UDP_PORT))

    def receive() -> None:
        number = end.number(link.recv(2048))
        if number is not None:
            end.note("received", "udp", number)

    # A new port for each run, so that every connection tracking on the way sees a new flow.
    sender = _socket(socket.SOCK_DGRAM)
    _listen(link, receive)
    async for number in end.ticks("udp"):
        end.note("sent", "udp", number)
        with contextlib.suppress(OSError):
            sender.sendto(end.payload(number), (end.peer, _UDP_PORT))


async def echoes(end: End) -> None:
    """Send ICMP echo requests and receive the replies."""
    link = _socket(socket.SOCK_RAW, socket.IPPROTO_ICMP)
    identifier = os.getpid() & 0xFFFF

    def receive() -> None:
        packet = link.recv(2048)
        message = packet[(packet[0] & 15) * 4 :]
        kind, _, _, answered, _ = struct.unpack_from("!BBHHH", message)
        number = end.number(message[8:])
        if kind == _ECHO_REPLY and answered == identifier and number is not None:
            end.note("received", "icmp", number)

    _listen(link, receive)
    async for number in end.ticks("icmp"):
        end.note("sent", "icmp", number)
        with contextlib.suppress(OSError):
            link.sendto(_echo_request(identifier, number & 0xFFFF, end.payload(number)), (end.peer, 0))


async def lines(end: End) -> None:
    """Write marked payloads into a TCP connection, and into a new one when it breaks."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            _give_up_early(writer)
            size = len(end.payload(0))
            while True:
                number = end.number(await reader.readexactly(size))
                if number is not None:
                    end.note("received", "tcp", number)

    await asyncio.start_server(serve, end.local, _TCP_PORT)
    connection = _Connection(end.peer, _TCP_PORT)
    async for number in end.ticks("tcp"):
        end.note("sent", "tcp", number)
        connection.write(end.payload(number))


async def load(end: End) -> None:
    """Keep a second TCP connection busy with marked bytes at a steady rate."""

    async def discard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            _give_up_early(writer)
            while await reader.read(65536):
                pass

    await asyncio.start_server(discard, end.local, _LOAD_PORT)
    size = int(_LOAD_BYTES_PER_SECOND / _LOAD_RATE)
    chunk = (end.marker * (size // len(end.marker) + 1))[:size]
    connection = _Connection(end.peer, _LOAD_PORT)
    async for _ in end.ticks(LOAD, _LOAD_RATE):
        connection.write(chunk)


async def web(end: End) -> None:
    """Ask the web server twice a second, each time by a new connection."""
    end.kinds |= {WEB}
    pending = set()
    async for number in end.ticks(WEB, _WEB_RATE):
        task = asyncio.create_task(_ask(end, number))
        pending.add(task)
        task.add_done_callback(pending.discard)


async def _ask(end: End, number: int) -> None:
    end.note("sent", WEB, number)
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(WEB_SECONDS):
            reader, writer = await asyncio.open_connection(end.web, 80)
            with contextlib.closing(writer):
                writer.write(f"HEAD / HTTP/1.0\r\nHost: {end.web}\r\n\r\n".encode())
                if (await reader.readline()).split()[1:2] == [b"200"]:
                    end.note("received", WEB, number)


class _Connection:
    """A TCP connection that is made again whenever it breaks. Data that cannot be written at once is lost."""

    _MOST_WAITING = 1 << 18

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._writer: asyncio.StreamWriter | None = None
        self._connecting: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        """Write the data, or begin to connect."""
        if self._writer is not None and not self._writer.is_closing():
            if self._writer.transport.get_write_buffer_size() < self._MOST_WAITING:
                self._writer.write(data)
        elif self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, self._writer = await asyncio.open_connection(self._host, self._port)
            _give_up_early(self._writer)


def _give_up_early(writer: asyncio.StreamWriter) -> None:
    link: socket.socket = writer.get_extra_info("socket")
    # tcp(7): this also limits keep-alive, when there is nothing to send.
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_TCP_SECONDS * 1000))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)


def _socket(kind: int, protocol: int = 0) -> socket.socket:
    link = socket.socket(socket.AF_INET, kind, protocol)
    link.setblocking(False)
    return link


def _listen(link: socket.socket, receive: Callable[[], None]) -> None:
    def take() -> None:
        # An ICMP error about an earlier packet raises an exception.
        with contextlib.suppress(OSError):
            receive()

    asyncio.get_running_loop().add_reader(link, take)


def _echo_request(identifier: int, sequence: int, payload: bytes) -> bytes:
    """Return an ICMP echo request (RFC 792)."""
    message = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, identifier, sequence) + payload
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


async def _obey(end: End) -> None:
    """Read commands until there are no more."""
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        end.kinds = frozenset({*line.decode().split(), WEB})


async def _report(end: End) -> None:
    while True:
        await asyncio.sleep(_FLUSH_SECONDS)
        lines, end.lines = end.lines, []
        sys.stdout.writelines(lines)
        sys.stdout.flush()


async def run(end: End) -> None:
    """Serve until standard input ends. The first part that fails ends all, with its exception."""
    parts = [datagrams(end), echoes(end), lines(end), load(end), web(end), _report(end)]
    tasks = [asyncio.ensure_future(part) for part in parts]
    obeying = asyncio.ensure_future(_obey(end))
    done, _ = await asyncio.wait([obeying, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    for task in tasks:
        task.cancel()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("local", "peer", "web", "marker"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    asyncio.run(run(End(options.local, options.peer, options.web, options.marker.encode())))


if __name__ == "__main__":
    main()
