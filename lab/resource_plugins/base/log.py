"""Lines for the user while an operation runs. The engine displays them with the resource."""

import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

Severity: TypeAlias = Literal["debug", "info", "warning", "error"]
Logger: TypeAlias = Callable[[Severity, str], None]
"""(severity, line). `info` and `debug` lines disappear; `warning` and `error` lines stay on the screen."""

_SEVERITIES = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}
_EPHEMERAL = ("debug", "info")


class EngineLog:
    """The engine's log; connects when the first line is written."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stub: engine_pb2_grpc.EngineStub | None = None

    def write(self, urn: str, severity: Severity, message: str) -> None:
        """Send a line about the resource `urn`. Failing to send it is not an error."""
        if self._stub is None:
            self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self._address))
        request = engine_pb2.LogRequest(
            severity=_SEVERITIES[severity], message=message, urn=urn, ephemeral=severity in _EPHEMERAL
        )
        try:
            self._stub.Log(request, timeout=5)
        except grpc.RpcError as error:
            logging.getLogger(__name__).debug("the engine did not accept a log line: %s", error)
