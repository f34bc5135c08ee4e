"""Stack configuration -> arguments: `leftCidrBlock` is `left.cidr_block`. An empty value is one that is not given."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import pulumi
from pulumi.runtime.config import is_config_secret

from .addressing import Problem
from .arguments import SiteArgs, VpnGatewayPairArgs
from .reader import SECRET, SettingsError

SIDES: Final = ("left", "right")
FLAGS: Final = {"verify"}
NUMBERS: Final = {"verify_timeout_seconds"}
STRUCTURES: Final = {"administrator_cidr_blocks", "availability_zones", "private_subnet_cidr_blocks", "tags"}
SECRETS: Final = {"host_private_key", "psk", "ssh_private_key"}


def config_key(field: str, side: str = "") -> str:
    """Return the configuration key of a field of the arguments, e.g. `leftCidrBlock` of `cidr_block`."""
    first, *others = (f"{side}_{field}" if side else field).split("_")
    return "".join([first, *(word.capitalize() for word in others)])


def pair_arguments(config: pulumi.Config) -> VpnGatewayPairArgs:
    """Return the arguments that the stack's configuration spells; raises `SettingsError` for secrets in clear text."""
    fields = [field for field in VpnGatewayPairArgs.__annotations__ if field not in SIDES]
    args = _read(config, {field: config_key(field) for field in fields})
    problems = []
    for side in SIDES:
        keys = {field: config_key(field, side) for field in SiteArgs.__annotations__}
        args[side] = _read(config, keys)
        problems += _secrets_in_clear_text(config, keys)
    problems += _secrets_in_clear_text(config, {field: config_key(field) for field in fields})
    if problems:
        raise SettingsError("configuration", problems)
    return cast("VpnGatewayPairArgs", args)


def _read(config: pulumi.Config, keys: Mapping[str, str]) -> dict[str, Any]:
    values = {field: _getter(config, field)(key) for field, key in keys.items()}
    return {field: value for field, value in values.items() if value not in ("", [], {}, None)}


def _getter(config: pulumi.Config, field: str) -> Callable[[str], Any]:
    if field in FLAGS:
        return config.get_bool
    if field in NUMBERS:
        return config.get_int
    return config.get_object if field in STRUCTURES else config.get


def _secrets_in_clear_text(config: pulumi.Config, keys: Mapping[str, str]) -> list[Problem]:
    return [
        Problem(
            setting=key,
            value=SECRET,
            rule="is in clear text in the stack's configuration",
            remedy=f"change it, and write the new one by `pulumi config set --secret {key}`",
        )
        for field, key in keys.items()
        if field in SECRETS and config.get(key) and not is_config_secret(config.full_key(key))
    ]
