"""Hooks: functions of the component that the engine calls before an operation on a resource, at preview too."""

import asyncio
import sys
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction
from pulumi.runtime._callbacks import _CallbackServicer
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor


def hook(
    name: str, callback: ResourceHookFunction, *, ignore_errors: bool = False
) -> list[pulumi.ResourceHook | ResourceHookFunction]:
    """Register a hook and return it; return none under the SDK's mocks, which do not support hooks.

    `name` must be unique in the program. An exception of `callback` ends the preview or the update; with
    `ignore_errors` it is only a warning.
    """
    if isinstance(get_monitor(), MockMonitor):
        return []
    keep_servers_of_other_operations()
    options = pulumi.ResourceHookOptions(on_dry_run=True, ignore_errors=ignore_errors)
    return [pulumi.ResourceHook(name, callback, options)]


def keep_servers_of_other_operations() -> None:
    """Let the end of an operation stop only its own servers of hooks, so that one process can run several operations.

    The SDK starts a server for each operation, and at the end of an operation stops the servers of all. That includes
    the next operation, if it has begun already, and a failed one, whose event loop no longer runs ("attached to a
    different loop"). An operation that never finished does the same when the garbage collector closes its coroutine, in
    the middle of another operation. Seen with SDK 3.250 and the Automation API.
    """
    sdk: Any = _CallbackServicer
    sdk.shutdown = classmethod(_stop_own_servers)


async def _stop_own_servers(sdk: Any) -> None:
    if isinstance(sys.exc_info()[1], GeneratorExit):
        return
    loop = asyncio.get_running_loop()
    for servicer in [each for each in sdk._servicers if each._server._loop is loop]:
        sdk._servicers.remove(servicer)
        await servicer._server.stop(grace=0)


async def known(value: Any) -> Any:
    """Return a value of the hook's arguments as plain text, or None while it is unknown."""
    output = pulumi.Output.from_input(value)
    return await output.future() if await output.is_known() else None
