"""Refusals that only the engine can speak: it knows whether a resource is to be made, the program does not."""

import pulumi
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor


class RefusedError(Exception):
    """The engine shows its text."""


def refusing(name: str, reason: pulumi.Output[str]) -> pulumi.ResourceHook | None:
    """Return a hook that fails, at preview too, with `reason` unless that is empty; None where there are no hooks."""
    # The SDK's mocks have none: every test of a program that uses this component would fail.
    if isinstance(get_monitor(), MockMonitor):
        return None

    async def refuse(_: pulumi.ResourceHookArgs) -> None:
        text = await reason.future()
        if text:
            raise RefusedError(text)

    return pulumi.ResourceHook(name, refuse, pulumi.ResourceHookOptions(on_dry_run=True))
