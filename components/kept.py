"""What is chosen once and kept in the stack's state, so that it never changes by itself."""

import pulumi

from .scope import Scope


def keep(
    scope: Scope, thing: str, choice: pulumi.Input[str], options: pulumi.ResourceOptions | None = None
) -> pulumi.Output[str]:
    """Return what `choice` was when it was first made.

    It is made again when the `replacement_trigger` of `options` changes. A renamed stack, project or component (with an
    alias) keeps it.
    """
    opts = pulumi.ResourceOptions.merge(scope.options(), options)
    return pulumi.Stash(scope.name(thing), input=choice, opts=opts).output.apply(str)
