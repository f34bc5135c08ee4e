"""Keeps a choice in the stack's state, so that it does not change by itself."""

import pulumi

from .refusals import refusing
from .scope import Scope


def keep(
    scope: Scope,
    name: str,
    choice: pulumi.Input[str],
    *,
    again_for: pulumi.Input[str] | None = None,
    refusal: pulumi.Output[str] | None = None,
) -> pulumi.Output[str]:
    """Return the first value of `choice`, and a later one only after `again_for` has changed.

    A non-empty `refusal` is the reason why there is no choice. The engine then refuses to make one, at preview too, but
    keeps an earlier one. Renaming the stack, the project or the component (with an alias) keeps the choice.
    """
    chosen_again = pulumi.ResourceOptions(replacement_trigger=again_for)
    options = pulumi.ResourceOptions(ignore_changes=["input"]) if again_for is None else chosen_again
    if refusal is not None:
        refused = refusing(scope.name(f"{name}-refused"), refusal)
        options.hooks = pulumi.ResourceHookBinding(before_create=refused)
    stash = pulumi.Stash(scope.name(name), input=choice, opts=pulumi.ResourceOptions.merge(scope.options(), options))
    return stash.output.apply(str)
