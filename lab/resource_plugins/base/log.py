"""Lines for the user while an operation runs: they appear beside the resource in the engine's display."""

import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

Severity: TypeAlias = Literal["debug", "info", "warning", "error"]
Logger: TypeAlias = Callable[[Severity, str], None]
"""(severity, line). `info` and `debug` lines are passing status; `warning` and `error` lines stay on the screen."""

_SEVERITIES = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}
_PASSING = ("debug", "info")


class EngineLog:
    """The engine's log, connected at the first line."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stub: engine_pb2_grpc.EngineStub | None = None

    def write(self, urn: str, severity: Severity, message: str) -> None:
        """Send one line about the resource `urn`. An engine that does not take it is no reason to fail."""
        if self._stub is None:
            self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self._address))
        request = engine_pb2.LogRequest(
            severity=_SEVERITIES[severity], message=message, urn=urn, ephemeral=severity in _PASSING
        )
        try:
            self._stub.Log(request, timeout=5)
        except grpc.RpcError as error:
            logging.getLogger(__name__).debug("the engine took no log line: %s", error)
