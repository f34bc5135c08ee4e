"""Hooks: functions of the component that the engine calls before an operation on a resource, at preview too."""

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
    """Register a hook and return it; return none under the SDK's mocks, which do not support hooks.

    `name` must be unique in the program. An exception of `callback` ends the preview or the update; with
    `ignore_errors` it is only a warning.
    """
    if isinstance(get_monitor(), MockMonitor):
        return []
    _forget_other_servers()
    options = pulumi.ResourceHookOptions(on_dry_run=True, ignore_errors=ignore_errors)
    return [pulumi.ResourceHook(name, callback, options)]


def _forget_other_servers() -> None:
    """Keep only this operation's servers in the SDK's list, so that one process can run several operations.

    The SDK starts a server of hooks for each operation. At the end of an operation it stops the servers of all
    operations. That includes the next operation, if it has begun already, and a failed one, whose event loop no longer
    runs ("attached to a different loop"). Seen with SDK 3.250 and the Automation API.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    servers = getattr(_CallbackServicer, "_servicers", [])
    _CallbackServicer._servicers = [each for each in servers if each._server._loop is loop]


async def known(value: Any) -> Any:
    """Return a value of the hook's arguments as plain text, or None while it is unknown."""
    output = pulumi.Output.from_input(value)
    return await output.future() if await output.is_known() else None
