"""Names for resources whose program gives none: `<logical name>-<7 hex digits>`, as Pulumi's Terraform bridge does."""

import hashlib
import secrets

from lab.resource_plugins.base.values import Properties

DEFAULTS = "__defaults"
"""Input that lists which other inputs Check filled in (the bridge's own convention)."""

_DIGITS = 7


def auto_name(logical_name: str, seed: bytes, *, max_length: int = 255) -> str:
    """Return `logical_name`, a hyphen and 7 hex digits drawn from `seed` (fresh randomness when it is empty).

    The logical name is cut so that the whole fits in `max_length` characters.
    """
    digits = hashlib.sha256(seed).hexdigest()[:_DIGITS] if seed else secrets.token_hex(_DIGITS)[:_DIGITS]
    return f"{logical_name[: max_length - _DIGITS - 1]}-{digits}"


def with_auto_name(key: str, inputs: Properties, old_inputs: Properties, candidate: str) -> Properties:
    """Return `inputs` with `key` filled in where the program left it out: the old generated name if there is one."""
    if inputs.get(key) is not None:
        return inputs
    generated_before = key in old_inputs.get(DEFAULTS, [])
    name = old_inputs[key] if generated_before and key in old_inputs else candidate
    return {**inputs, key: name, DEFAULTS: [key]}
