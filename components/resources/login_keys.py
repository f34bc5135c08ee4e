"""Which keys log in to a gateway: keeps them, and refuses a login that its running instance does not admit."""

from collections.abc import Sequence

import pulumi

from ..decisions.login import last_login_refusal, lockout_refusal
from ..inputs.settings import GatewaySettings
from .hooks import known
from .refusals import Reason, refusing
from .scope import Scope
from .secrets import public_key_line


def public_login_keys(settings: GatewaySettings) -> tuple[pulumi.Output[str], ...]:
    """Return the lines of the public keys that log in, the deployment's own first."""
    own = public_key_line("ssh_public_key", settings.ssh_public_key)
    more = (public_key_line(f"ssh_authorized_keys[{n}]", each) for n, each in enumerate(settings.ssh_authorized_keys))
    return own, *more


def keep_login_keys(
    scope: Scope,
    login_keys: Sequence[pulumi.Output[str]],
    *,
    changes_in_place: bool,
    instance: pulumi.CustomResource,
    configured: pulumi.Resource,
) -> None:
    """Keep the public keys that a gateway admits since `configured`, which is its instance if nothing can log in.

    The deployment's own key is the first one. A preview refuses another one that is not kept, because nothing could log
    in to change the running gateway. If the gateway no longer `changes_in_place`, it refuses to leave more keys there.
    Another instance gets the new keys, so the engine replaces what is kept, and nothing is refused.
    """
    reason = _reason(f"{scope.site}-gateway", login_keys[0], instance, changes_in_place=changes_in_place)
    own = pulumi.ResourceOptions(
        depends_on=[configured],
        hooks=pulumi.ResourceHookBinding(before_update=refusing(scope.name("login-refused"), reason)),
        replacement_trigger=instance.id,
    )
    pulumi.Stash(
        scope.name("login-keys"),
        input=pulumi.Output.all(*login_keys),
        opts=pulumi.ResourceOptions.merge(scope.options(), own),
    )


def _reason(
    gateway: str, login_key: pulumi.Output[str], instance: pulumi.CustomResource, *, changes_in_place: bool
) -> Reason:
    async def reason(args: pulumi.ResourceHookArgs) -> str:
        admitted: list[str] = await known((args.old_inputs or {}).get("input")) or []
        # At preview, a key that is yet to be generated is unknown.
        key = await known(login_key)
        if changes_in_place:
            return lockout_refusal(gateway, await instance.urn.future() or "", admitted=admitted, login_key=key)
        return last_login_refusal(gateway, admitted=admitted, login_key=key)

    return reason
