"""The servers by which the engine calls the hooks of this component, when one process runs several operations.

tests/engine/test_red_up.py runs such operations with the engine.
"""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import grpc
import pytest
from pulumi.runtime import stack
from pulumi.runtime._callbacks import _CallbackServicer
from pulumi.runtime.proto import resource_pb2_grpc

from components.resources import hooks


def serving(servicer: _CallbackServicer) -> bool:
    host, _, port = servicer._target.partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


async def server() -> _CallbackServicer:
    servicer = _CallbackServicer(resource_pb2_grpc.ResourceMonitorStub(grpc.insecure_channel("127.0.0.1:1")))
    await servicer.serve()  # type: ignore[no-untyped-call]  # the SDK's
    return servicer


async def nothing() -> None:
    pass


@pytest.fixture(autouse=True)
def no_other_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_CallbackServicer, "_servicers", [])
    monkeypatch.setattr(stack, "wait_for_rpcs", nothing)
    monkeypatch.setattr(stack, "_wait_for_shutdown", nothing)
    hooks.keep_servers_of_other_operations()


def test_an_operation_that_was_never_finished_stops_no_server_when_it_is_collected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forever() -> None:
        await asyncio.Future()

    async def operation() -> bool:
        own = await server()
        with monkeypatch.context() as patch:
            patch.setattr(stack, "wait_for_rpcs", forever)
            unfinished: Coroutine[Any, Any, None] = stack.run_pulumi_func(lambda: None)
            unfinished.send(None)
            # The garbage collector does the same.
            unfinished.close()
        await asyncio.sleep(0.1)
        running = serving(own)
        await own._server.stop(grace=0)
        return running

    assert asyncio.run(operation())


def test_an_operation_stops_its_own_servers_and_leaves_those_of_another_loop_running() -> None:
    other_loop = asyncio.new_event_loop()
    other = other_loop.run_until_complete(server())

    async def operation() -> _CallbackServicer:
        own = await server()
        await stack.run_pulumi_func(lambda: None)
        return own

    own = asyncio.run(operation())
    assert (serving(own), serving(other)) == (False, True)
    other_loop.run_until_complete(other._server.stop(grace=0))
    other_loop.close()
