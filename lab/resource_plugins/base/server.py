"""The process of a plugin: prints its port, serves until the engine ends, and reports errors in full."""

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import DiffRequest
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from lab.engine.versions import plugin_version
from lab.resource_plugins.base.dispatch import InitializationError, Provider
from lab.resource_plugins.base.log import EngineLog

_REPORTED = ("CheckConfig", "DiffConfig", "Configure", "Check", "Diff", "Create", "Read", "Update", "Delete", "Invoke")


def serve(provider: Provider) -> None:
    """Serve `provider` on a free loopback port, print the port, and end with the engine."""
    asyncio.run(_serve(provider, sys.argv[1] if len(sys.argv) > 1 else ""))


async def _serve(provider: Provider, engine_address: str) -> None:
    if engine_address:
        provider.log_to(EngineLog(engine_address))
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    servicer = _Servicer(sys.argv[1:], plugin_version(provider.package), provider, engine_address)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # Without cleaning up: at the end of every command the engine waits up to five seconds for the plugin.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    print(port, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    os._exit(0)


class _Servicer(ProviderServicer):
    """The SDK's servicer, with errors in the form that the engine expects and with a working DiffConfig."""

    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's name and signature
        result = await self._provider.diff_config(
            DiffRequest(
                request.urn,
                request.id,
                PropertyValue.unmarshal_map(request.olds),
                PropertyValue.unmarshal_map(request.news),
                list(request.ignoreChanges),
            )
        )
        changes = provider_pb2.DiffResponse.DIFF_SOME if result.changes else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changes, diffs=result.diffs, replaces=result.replaces)


def _reporting(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def reported(self: _Servicer, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except InitializationError as error:
            status, details = _initialization_failed(error)
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            await context.abort(status, str(error))
        except Exception as error:  # any error is for the user
            await context.abort(grpc.StatusCode.UNKNOWN, str(error) or type(error).__name__)

    return reported


for _name in _REPORTED:
    setattr(_Servicer, _name, _reporting(getattr(_Servicer, _name)))


def _initialization_failed(error: InitializationError) -> tuple[grpc.StatusCode, bytes]:
    detail = AnyMessage()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.resource_id,
            properties=PropertyValue.marshal_map(error.properties),
            inputs=PropertyValue.marshal_map(error.inputs),
            reasons=[str(error)],
        )
    )
    code = grpc.StatusCode.UNKNOWN
    return code, status_pb2.Status(code=code.value[0], message=str(error), details=[detail]).SerializeToString()
