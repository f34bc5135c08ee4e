"""Generated names, in the form of Pulumi's Terraform bridge: `<logical name>-<7 hex digits>`."""

import hashlib
import secrets

from lab.resource_plugins.base.values import Properties

DEFAULTS = "__defaults"
"""Input that lists the inputs that Check filled in (a convention of the bridge)."""

_DIGITS = 7


def auto_name(logical_name: str, seed: bytes, *, max_length: int = 255) -> str:
    """Return `logical_name`, a hyphen and 7 hex digits derived from `seed` (random digits when it is empty).

    The logical name is shortened so that the result has at most `max_length` characters.
    """
    digits = hashlib.sha256(seed).hexdigest()[:_DIGITS] if seed else secrets.token_hex(_DIGITS)[:_DIGITS]
    return f"{logical_name[: max_length - _DIGITS - 1]}-{digits}"


def with_auto_name(key: str, inputs: Properties, old_inputs: Properties, candidate: str) -> Properties:
    """Return `inputs` with a value for `key` if the program has none: the old generated name, or else `candidate`."""
    if inputs.get(key) is not None:
        return inputs
    was_generated = key in old_inputs.get(DEFAULTS, [])
    name = old_inputs[key] if was_generated and key in old_inputs else candidate
    return {**inputs, key: name, DEFAULTS: [key]}
