"""JSON over a Unix socket, as QEMU's monitor (QMP) and its guest agent speak it: one command, one answer.

https://www.qemu.org/docs/master/interop/qmp-spec.html and qemu-ga-ref.html. Both serve one client at a time, so a
connection is kept for one short exchange only and a file lock queues the lab's processes.
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
# guest-sync-delimited: the agent's answer is preceded by this byte, what came before belongs to somebody else.
_DELIMITER = b"\xff"


class ChannelError(Exception):
    """The other side answered with an error; the message is its own."""


class Channel:
    """An open connection. Made by `monitor` and `agent`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def command(self, name: str, **arguments: Any) -> Any:
        """Execute a command and return its result; events are passed over. Raises ChannelError, TimeoutError."""
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

    def be_patient(self, seconds: float) -> None:
        """Wait so long for each answer from now on."""
        self._connection.settimeout(seconds)

    def line(self) -> bytes:
        """Return the next line. Raises ConnectionError when the other side closes."""
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

    A guest that has not booted yet does not answer. One that has is given longer for its commands: whoever gives up
    and asks again runs a command twice, or asks for a result that the agent has handed out and forgotten.
    """
    with _locked(path, timeout), _connected(path, timeout) as channel:
        number = random.randrange(1 << 31)  # noqa: S311 - tells answers apart, guards nothing
        channel.send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, prefix=_DELIMITER)
        while True:
            answer = channel.line().rpartition(_DELIMITER)[2]
            try:
                if json.loads(answer).get("return") == number:
                    break
            except ValueError:
                continue
        channel.be_patient(_BUSY_SECONDS)
        yield channel


@contextmanager
def _connected(path: Path, timeout: float) -> Iterator[Channel]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        # By the directory's descriptor: a socket's path has at most 107 bytes, a checkout's may have more.
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
                    raise TimeoutError(f"{path.name} is in use for more than {timeout:.0f} s") from None
                time.sleep(0.02)
        yield
