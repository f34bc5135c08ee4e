"""Show the user lines by the engine's log, as long as the command runs."""

import os
from types import TracebackType
from typing import Self

import grpc

from lab.language_hosts.base import protocol
from lab.language_hosts.base.processes import Output


class EngineLog:
    """A connection to the engine's log; a context manager."""

    def __init__(self, engine: str) -> None:
        self._channel = grpc.insecure_channel(engine)
        self._client = protocol.engine_pb2_grpc.EngineStub(self._channel)
        # One stream, so that pieces of one line are shown as one line.
        self._stream = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def write(self, output: Output) -> None:
        """Show a piece of output: stdout as information, stderr as an error, both gone when the command is over."""
        severity = protocol.engine_pb2.INFO if output.stdout else protocol.engine_pb2.ERROR
        self._client.Log(
            protocol.engine_pb2.LogRequest(
                message=(output.stdout or output.stderr).decode(errors="replace"),
                ephemeral=True,
                streamId=self._stream,
                severity=severity,
            )
        )
