"""Warns, also at preview, when a change replaces a gateway's instance for a reason that the plan does not show."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction

from .hooks import hook, known
from .scope import Scope


def announce_replacement(scope: Scope, reasons: Mapping[str, pulumi.Input[str]]) -> None:
    """Warn when one of `reasons` (name in the warning -> value) has changed, and name it.

    Only the engine knows the previous values, so a `Stash` keeps digests of them. They are secret if one of the values
    is.
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
        # Values are unknown at preview if the other side gets a new address.
        changed = [reason for reason in {**before, **after} if after and before.get(reason) != after.get(reason)]
        pulumi.log.warn(replacement_text(scope.site, changed), scope.parent)

    return announce


async def _kept(inputs: Mapping[str, Any] | None) -> Mapping[str, str]:
    kept: Mapping[str, str] | None = await known((inputs or {}).get("input"))
    return kept or {}


def replacement_text(site: str, changed: list[str]) -> str:
    """Return the warning. `changed` has the reasons; it is empty if they are unknown."""
    why = f" because of another {', '.join(changed)}" if changed else ""
    return (
        f"{site}-gateway will be replaced{why}. Until its new instance has booted, the tunnel and the Internet access "
        "of its private hosts are down. Its addresses and routes stay."
    )
