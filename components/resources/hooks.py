"""Functions of ours that the engine calls when it comes to a resource, at preview too."""

import asyncio
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction
from pulumi.runtime._callbacks import _CallbackServicer
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor


def hook(
    name: str, callback: ResourceHookFunction, *, ignore_errors: bool = False
) -> list[pulumi.ResourceHook | ResourceHookFunction]:
    """Return the hook, registered; none under the SDK's mocks, which have none and would fail at one.

    `name` is unique in the program. With `ignore_errors`, an exception of `callback` is a warning; else it ends the
    preview or the update.
    """
    if isinstance(get_monitor(), MockMonitor):
        return []
    _forget_other_servers()
    options = pulumi.ResourceHookOptions(on_dry_run=True, ignore_errors=ignore_errors)
    return [pulumi.ResourceHook(name, callback, options)]


def _forget_other_servers() -> None:
    """Let one process run several operations, as the Automation API does, also after one that failed.

    The SDK serves hooks by a server for each operation, and at the end of each stops the servers of all operations: of
    the next one, too, if that has begun by then, and of one that failed, whose event loop runs no more ("attached to a
    different loop"). With a list for each operation, each stops its own. Seen with SDK 3.250.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    servers = getattr(_CallbackServicer, "_servicers", [])
    _CallbackServicer._servicers = [each for each in servers if each._server._loop is loop]


async def known(value: Any) -> Any:
    """Return a value of the hook's arguments without its secretness; None when it is not known yet."""
    output = pulumi.Output.from_input(value)
    return await output.future() if await output.is_known() else None
