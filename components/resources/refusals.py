"""Refusals by the engine, which knows whether a resource is to be created; the program does not know it."""

import pulumi
from pulumi.resource_hooks import ResourceHookFunction

from .hooks import hook


class RefusedError(Exception):
    """A refusal. The engine shows its text."""


def refusing(name: str, reason: pulumi.Output[str]) -> list[pulumi.ResourceHook | ResourceHookFunction]:
    """Return a hook that fails with `reason`, at preview too, unless `reason` is empty; see `hook`."""

    async def refuse(_: pulumi.ResourceHookArgs) -> None:
        text = await reason.future()
        if text:
            raise RefusedError(text)

    return hook(name, refuse)
