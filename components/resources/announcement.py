"""Warns, also at preview, when a change replaces a gateway's instance for a reason that the plan does not show."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction

from .hooks import hook, known
from .scope import Scope

LOGIN_KEY = "ssh_public_key"

PROGRAM = "program of this release"
"""The reason that each gateway has which cannot be changed in place."""


def announce_replacement(
    scope: Scope, *, always: Mapping[str, pulumi.Input[str]], otherwise: Mapping[str, pulumi.Input[str]]
) -> None:
    """Warn when a reason to replace the instance (name in the warning -> value) has changed, and name it.

    `always` are reasons for any gateway, `otherwise` those for one that cannot be changed in place: empty if it can.
    Only the engine knows the previous values, so a `Stash` keeps digests of them. They are secret if one of the values
    is.
    """
    digests = pulumi.Output.all(**always, **otherwise).apply(
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
        changed = [reason for reason in sorted(compared(before, after)) if before.get(reason) != after.get(reason)]
        if changed or not after:
            pulumi.log.warn(replacement_text(scope.site, changed), scope.parent)

    return announce


async def _kept(inputs: Mapping[str, Any] | None) -> Mapping[str, str]:
    kept: Mapping[str, str] | None = await known((inputs or {}).get("input"))
    return kept or {}


def compared(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Return the reasons to compare: all, or only those in both if the gateway can be changed in place only now.

    The login key counts only if it is in both, because an earlier release kept that of every gateway.
    """
    common = before.keys() & after.keys()
    is_switched = (PROGRAM in before) != (PROGRAM in after)
    reasons = common if is_switched else before.keys() | after.keys()
    return {each for each in reasons if each in common or each != LOGIN_KEY}


def replacement_text(site: str, changed: list[str]) -> str:
    """Return the warning. `changed` has the reasons; it is empty if they are unknown."""
    why = f" because of another {', '.join(changed)}" if changed else ""
    return (
        f"{site}-gateway will be replaced{why}. Until its new instance has booted, its tunnels and the Internet access "
        "of its private hosts are down. Its addresses and routes stay."
    )
