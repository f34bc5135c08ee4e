"""Refusals by the engine, which knows whether a resource is to be created; the program does not know it."""

from collections.abc import Awaitable, Callable

import pulumi
from pulumi.resource_hooks import ResourceHookFunction

from .hooks import hook


class RefusedError(Exception):
    """A refusal. The engine shows its text."""


Reason = Callable[[pulumi.ResourceHookArgs], Awaitable[str]]
"""Returns why an operation is refused; empty if it is not."""


def refusing(name: str, reason: pulumi.Output[str] | Reason) -> list[pulumi.ResourceHook | ResourceHookFunction]:
    """Return a hook that fails with `reason`, at preview too, unless `reason` is empty; see `hook`."""

    async def refuse(args: pulumi.ResourceHookArgs) -> None:
        text = await (reason.future() if isinstance(reason, pulumi.Output) else reason(args))
        if text:
            raise RefusedError(text)

    return hook(name, refuse)
