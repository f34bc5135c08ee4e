"""Stack configuration -> arguments: `leftCidrBlock` is `left.cidr_block`, `vpcId` in `leftExistingNetwork` is `vpc_id`.

An empty value is one that is not given.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final, cast

import pulumi
from pulumi.runtime.config import CONFIG, is_config_secret

from ..decisions.problems import Problem
from .arguments import ExistingNetworkArgs, SiteArgs, VpnGatewayPairArgs
from .problems import SECRET, SettingsError
from .settings import pair_settings

SIDES: Final = ("left", "right")


def config_key(field: str, side: str = "") -> str:
    """Return the configuration key of a field of the arguments, e.g. `leftCidrBlock` of `cidr_block`."""
    first, *others = (f"{side}_{field}" if side else field).split("_")
    return "".join([first, *(word.capitalize() for word in others)])


FLAGS: Final = {"verify"}
NUMBERS: Final = {"root_volume_size", "verify_timeout_seconds"}
NESTED: Final = {"existing_network": {config_key(field): field for field in ExistingNetworkArgs.__annotations__}}
"""Field -> key in its object -> field there."""
STRUCTURES: Final = {
    "additional_cidr_blocks",
    "administrator_cidr_blocks",
    "availability_zones",
    "excluded_cidr_blocks",
    "private_subnet_cidr_blocks",
    "tags",
    *NESTED,
}
SECRETS: Final = {"host_private_key", "psk", "ssh_private_key"}
OF_THE_DEFAULT_PROVIDER: Final = {
    "assumeRole": "set leftAssumeRoleArn and rightAssumeRoleArn",
    "assumeRoles": "set leftAssumeRoleArn and rightAssumeRoleArn",
    "defaultTags": "set tags",
    "profile": "set leftAwsProfile and rightAwsProfile",
    "region": "set leftRegion and rightRegion",
}
"""Setting of the package `aws` -> what to set instead."""


def pair_arguments(config: pulumi.Config) -> VpnGatewayPairArgs:
    """Return the arguments that the stack's configuration spells.

    Raises `SettingsError` with everything that is wrong in it, each setting by the name it has there.
    """
    fields = [field for field in VpnGatewayPairArgs.__annotations__ if field not in SIDES]
    common = {field: config_key(field) for field in fields}
    sides = {side: {field: config_key(field, side) for field in SiteArgs.__annotations__} for side in SIDES}
    args = {**_read(config, common), **{side: _read(config, keys) for side, keys in sides.items()}}
    problems = _unknown(config, [key for keys in (common, *sides.values()) for key in keys.values()])
    problems += _without_effect()
    for keys in (common, *sides.values()):
        problems += _secrets_in_clear_text(config, keys)
    problems += map(_as_configured, _problems(cast("VpnGatewayPairArgs", args)))
    if problems:
        raise SettingsError("configuration", problems)
    return cast("VpnGatewayPairArgs", args)


def _problems(args: VpnGatewayPairArgs) -> Iterable[Problem]:
    try:
        # The name belongs to the program, which need not fear it.
        pair_settings("pair", args)
    except SettingsError as error:
        return error.problems
    return ()


def _as_configured(problem: Problem) -> Problem:
    """Return the problem with every setting named as in the configuration."""
    side, dot, _ = problem.setting.partition(".")
    own = side if dot and side in SIDES else ""

    def key(match: re.Match[str]) -> str:
        field = match["field"]
        return config_key(field, match["side"] or (own if field in SiteArgs.__annotations__ else ""))

    fields = {*SiteArgs.__annotations__, *VpnGatewayPairArgs.__annotations__, *ExistingNetworkArgs.__annotations__}
    # Without its side, a field is told from prose by its underscore.
    alone = "|".join(sorted((field for field in fields if "_" in field), key=len, reverse=True))
    pattern = rf"\b(?:(?P<side>{'|'.join(SIDES)})\.(?=\w))?(?P<field>(?(side)\w+|(?:{alone})))\b"
    texts = {name: re.sub(pattern, key, getattr(problem, name)) for name in ("setting", "rule", "remedy")}
    return replace(problem, **texts)


def _unknown(config: pulumi.Config, known: list[str]) -> list[Problem]:
    given = (key.removeprefix(f"{config.name}:") for key in CONFIG.get() if key.startswith(f"{config.name}:"))
    return [
        Problem(
            setting=key,
            value="…",
            rule="is not a setting of this project",
            remedy=f"use one of Pulumi.yaml, e.g. {get_close_matches(key, known, n=1, cutoff=0)[0]}",
        )
        for key in sorted(set(given) - set(known))
    ]


def _without_effect() -> list[Problem]:
    """Refuse the settings of the package `aws`: only default providers read them, and each side has its own provider.

    `allowedAccountIds` is meant to protect an account, and would not.
    """
    given = sorted(key.removeprefix("aws:") for key in CONFIG.get() if key.startswith("aws:"))
    return [
        Problem(
            setting=f"aws:{key}",
            value="…",
            rule="has no effect here, because each side has a provider of its own",
            remedy=f"{OF_THE_DEFAULT_PROVIDER.get(key, 'look for its like in Pulumi.yaml')}, and remove it by "
            f"`pulumi config rm aws:{key}`",
        )
        for key in given
    ]


def _read(config: pulumi.Config, keys: Mapping[str, str]) -> dict[str, Any]:
    values = {field: _spelled(field, _getter(config, field)(key)) for field, key in keys.items()}
    return {field: value for field, value in values.items() if value not in ("", [], {}, None)}


def _spelled(field: str, value: Any) -> Any:
    """Return the value with the keys of the arguments; those that are none stay as they are, to be refused by name."""
    names = NESTED.get(field, {})
    return {names.get(key, key): each for key, each in value.items()} if names and isinstance(value, dict) else value


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
