"""Writes output to the engine's log, where the user sees it until the command ends."""

import os
from types import TracebackType
from typing import Self

import grpc

from lab.language_hosts.base import protocol
from lab.language_hosts.base.processes import Output


class EngineLog:
    """A connection to the engine's log, as a context manager."""

    def __init__(self, engine: str) -> None:
        self._channel = grpc.insecure_channel(engine)
        self._client = protocol.engine_pb2_grpc.EngineStub(self._channel)
        # With one stream the engine shows pieces of a line as one line.
        self._stream = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def write(self, output: Output) -> None:
        """Show a piece of output until the command ends: stdout as information, stderr as an error."""
        severity = protocol.engine_pb2.INFO if output.stdout else protocol.engine_pb2.ERROR
        self._client.Log(
            protocol.engine_pb2.LogRequest(
                message=(output.stdout or output.stderr).decode(errors="replace"),
                ephemeral=True,
                streamId=self._stream,
                severity=severity,
            )
        )
