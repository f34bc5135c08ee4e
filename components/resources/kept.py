"""What is chosen once and kept in the stack's state, so that it never changes by itself."""

import pulumi

from .refusals import refusing
from .scope import Scope


def keep(
    scope: Scope,
    thing: str,
    choice: pulumi.Input[str],
    *,
    again_for: pulumi.Input[str] | None = None,
    refusal: pulumi.Output[str] | None = None,
) -> pulumi.Output[str]:
    """Return what `choice` was when it was first made; it is made again when `again_for` changes.

    If a choice cannot be made, `refusal` says why: the engine refuses to make one, at preview too, and keeps what there
    is. A renamed stack, project or component (with an alias) keeps it as well.
    """
    made_again = pulumi.ResourceOptions(replacement_trigger=again_for)
    options = pulumi.ResourceOptions(ignore_changes=["input"]) if again_for is None else made_again
    if refusal is not None:
        refused = refusing(scope.name(f"{thing}-refused"), refusal)
        options.hooks = pulumi.ResourceHookBinding(before_create=refused)
    stash = pulumi.Stash(scope.name(thing), input=choice, opts=pulumi.ResourceOptions.merge(scope.options(), options))
    return stash.output.apply(str)
