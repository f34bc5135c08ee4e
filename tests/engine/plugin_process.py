"""A plugin as the engine uses it: a process that prints its port and serves gRPC."""

import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc


class PluginProcess:
    """A running plugin, as a context manager; `settings` are those of an explicit provider."""

    def __init__(self, plugin: str, environment: Mapping[str, str], settings: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"lab.resource_plugins.{plugin}", "127.0.0.1:1"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(self._process.stdout.readline())}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.stub.Configure(provider_pb2.ConfigureRequest(args=struct(settings), acceptSecrets=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._process.terminate()
        self._process.communicate(timeout=600)


def struct(values: Mapping[str, Any]) -> Struct:
    """Return properties as a message of the protocol."""
    message = Struct()
    message.update(dict(values))
    return message
