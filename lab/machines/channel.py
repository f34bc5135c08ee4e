"""The JSON protocol of QEMU's monitor (QMP) and guest agent over a Unix socket: one command, one answer.

https://www.qemu.org/docs/master/interop/qmp-spec.html and qemu-ga-ref.html. Both serve one client at a time, so a
connection is kept for one short exchange only, and a file lock makes the lab's processes take turns.
"""

import fcntl
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_CHUNK = 65536
_BUSY_SECONDS = 30.0
# guest-sync-delimited: the agent's answer follows this byte; what precedes it belongs to an earlier client.
_DELIMITER = b"\xff"


class ChannelError(Exception):
    """QEMU or the guest agent answered with an error; the message is the one it sent."""


class Channel:
    """An open connection, created by `monitor` or `agent`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def command(self, name: str, **arguments: Any) -> Any:
        """Execute a command and return its result; skip events. Raises ChannelError, TimeoutError."""
        self.send({"execute": name, "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}})
        while True:
            message = json.loads(self.line())
            if "error" in message:
                raise ChannelError(message["error"].get("desc", str(message["error"])))
            if "return" in message:
                return message["return"]

    def send(self, message: dict[str, Any], *, prefix: bytes = b"") -> None:
        """Send one message."""
        self._connection.sendall(prefix + json.dumps(message).encode() + b"\n")

    def wait_for(self, event: str, seconds: float) -> None:
        """Wait until QEMU reports an event. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.set_timeout(left)
            if json.loads(self.line()).get("event") == event:
                return
        raise TimeoutError(f"no {event} within {seconds:.0f} s")

    def set_timeout(self, seconds: float) -> None:
        """Wait at most so long for each further answer."""
        self._connection.settimeout(seconds)

    def line(self) -> bytes:
        """Return the next line. Raises ConnectionError when the machine closes the connection."""
        while b"\n" not in self._received:
            data = self._connection.recv(_CHUNK)
            if not data:
                raise ConnectionError("the machine closed the connection")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line


@contextmanager
def monitor(path: Path, *, timeout: float = 5.0) -> Iterator[Channel]:
    """Connect to QEMU's monitor. Raises OSError (e.g. TimeoutError) when it does not answer in `timeout` seconds."""
    with _locked(path, timeout), _connected(path, timeout) as channel:
        channel.line()
        channel.command("qmp_capabilities")
        yield channel


@contextmanager
def agent(path: Path, *, timeout: float = 5.0) -> Iterator[Channel]:
    """Connect to the guest agent. Raises OSError (e.g. TimeoutError) when it does not answer in `timeout` seconds.

    A guest that has not booted yet does not answer. Commands get a longer timeout, because a repeated command would run
    twice, and the agent hands out a result only once.
    """
    with _locked(path, timeout), _connected(path, timeout) as channel:
        number = random.randrange(1 << 31)  # noqa: S311 - only distinguishes answers
        channel.send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, prefix=_DELIMITER)
        while True:
            answer = channel.line().rpartition(_DELIMITER)[2]
            try:
                if json.loads(answer).get("return") == number:
                    break
            except ValueError:
                continue
        channel.set_timeout(_BUSY_SECONDS)
        yield channel


@contextmanager
def _connected(path: Path, timeout: float) -> Iterator[Channel]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        # Through the directory's descriptor: a socket's path has at most 107 bytes, and the checkout's may be longer.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        yield Channel(connection)


@contextmanager
def _locked(path: Path, timeout: float) -> Iterator[None]:
    deadline = time.monotonic() + timeout
    with path.with_suffix(".lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path.name} was in use for more than {timeout:.0f} s") from None
                time.sleep(0.02)
        yield
