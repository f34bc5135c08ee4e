"""Warns, at preview too, of a change that replaces a gateway's instance for a reason that its plan does not show."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction

from .hooks import hook, known
from .scope import Scope


def announce_replacement(scope: Scope, reasons: Mapping[str, pulumi.Input[str]]) -> None:
    """Keep what the gateway's instance depends on; when one of `reasons` has another value, warn which.

    The component does not know what was: the engine does, of the resource that keeps it. Digests are kept, as a secret
    when one of the values is.
    """
    digests = pulumi.Output.all(**reasons).apply(
        lambda values: {reason: sha256(str(value).encode()).hexdigest() for reason, value in values.items()}
    )
    hooks = pulumi.ResourceHookBinding(
        before_update=hook(scope.name("replacement-announced"), _announce(scope), ignore_errors=True)
    )
    pulumi.Stash(
        scope.name("replacement-reasons"),
        input=digests,
        opts=pulumi.ResourceOptions.merge(scope.options(), pulumi.ResourceOptions(hooks=hooks)),
    )


def _announce(scope: Scope) -> ResourceHookFunction:
    async def announce(args: pulumi.ResourceHookArgs) -> None:
        before, after = await _kept(args.old_inputs), await _kept(args.new_inputs)
        # Not known at preview when an address of the other side is to be made anew.
        changed = [reason for reason in {**before, **after} if after and before.get(reason) != after.get(reason)]
        pulumi.log.warn(replacement_text(scope.site, changed), scope.parent)

    return announce


async def _kept(inputs: Mapping[str, Any] | None) -> Mapping[str, str]:
    kept: Mapping[str, str] | None = await known((inputs or {}).get("input"))
    return kept or {}


def replacement_text(site: str, changed: list[str]) -> str:
    """Return the warning; `changed` are the reasons, none when they are not known."""
    why = f", for another {', '.join(changed)}" if changed else ""
    return (
        f"{site}-gateway is to be replaced{why}: the tunnel, and the way of {site}'s "
        "private hosts to the Internet, are down until its new instance has booted. Its addresses and routes stay."
    )
