"""Stack configuration -> arguments; problems with arguments -> problems with the stack configuration.

The key `leftCidrBlock` is the argument `left.cidr_block`; `vpcId` in `leftExistingNetwork` is its `vpc_id`. An empty
value counts as absent.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final, NotRequired, cast, get_args, get_origin, is_typeddict

import pulumi
from pulumi.runtime.config import CONFIG, is_config_secret

from ..decisions.problems import SECRET, Problem
from .arguments import SECRETS, SiteArgs, VpnGatewayPairArgs, camel_case
from .problems import SettingsError
from .settings import pair_settings

SIDES: Final = ("left", "right")

INSTEAD_OF_AWS: Final = {
    "assumeRole": "set leftAssumeRoleArn and rightAssumeRoleArn",
    "assumeRoles": "set leftAssumeRoleArn and rightAssumeRoleArn",
    "defaultTags": "set tags",
    "profile": "set leftAwsProfile and rightAwsProfile",
    "region": "set leftRegion and rightRegion",
}
"""Key of the package `aws`, which only default providers read -> what to set instead."""


def config_key(field: str, side: str = "") -> str:
    """Return the configuration key of a field of the arguments, e.g. `leftCidrBlock` of `cidr_block`."""
    return camel_case(f"{side}_{field}" if side else field)


def _type(hint: Any) -> Any:
    # Not `get_type_hints`, which cannot resolve the forward references in `pulumi.Input`.
    origin: Any = get_origin(hint)
    return get_args(hint)[0] if origin is NotRequired else hint


_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "": {field: _type(hint) for field, hint in VpnGatewayPairArgs.__annotations__.items() if field not in SIDES},
    **{side: {field: _type(hint) for field, hint in SiteArgs.__annotations__.items()} for side in SIDES},
}
"""Side, or empty for the pair itself -> field -> type."""


def _keys() -> Iterator[tuple[str, str]]:
    """Yield each argument's path and its key, e.g. `left.cidr_block` and `leftCidrBlock`."""
    for side, fields in _TYPES.items():
        for field, hint in fields.items():
            path, key = f"{side}.{field}".lstrip("."), config_key(field, side)
            yield path, key
            if is_typeddict(hint):
                yield from ((f"{path}.{inner}", f"{key}.{camel_case(inner)}") for inner in hint.__annotations__)


KEYS: Final = dict(_keys())
"""Path of an argument -> its key."""

_PATH: Final = rf"(?<![\w.])({'|'.join(map(re.escape, sorted(KEYS, key=len, reverse=True)))})(?!\w)"


def pair_arguments(config: pulumi.Config) -> VpnGatewayPairArgs:
    """Return the arguments that the stack configuration has.

    Raises `SettingsError` for what is wrong with the configuration itself. Then its message also lists the problems
    with the arguments, because the component that would report them is not created.
    """
    args: Any = {side: _read(config, side) for side in SIDES} | _read(config, "")
    problems = [*_unknown(config), *_without_effect(), *_secrets_in_clear_text(config)]
    if problems:
        try:
            pair_settings("pair", args)
        except SettingsError as error:
            problems += map(_as_configured, error.problems)
        raise SettingsError("configuration", problems)
    return cast("VpnGatewayPairArgs", args)


@contextmanager
def errors_as_configured() -> Iterator[None]:
    """Raise a `SettingsError` of the component with the keys of the stack configuration."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError("configuration", [*map(_as_configured, error.problems)]) from None


def _as_configured(problem: Problem) -> Problem:
    """Return the problem with keys in place of the paths of arguments.

    A name without its side, e.g. `host_public_key` in a problem with `left.host_private_key`, is one of the same
    object, of the same side, or of the pair, in that order.
    """
    *parents, _ = problem.setting.split(".")
    scopes = [".".join(parents[:depth]) for depth in range(len(parents), -1, -1)]

    def key(match: re.Match[str]) -> str:
        for scope in scopes:
            path = f"{scope}.{match[1]}".lstrip(".")
            if path in KEYS:
                return f"`{camel_case(match[1]) if scope in KEYS else KEYS[path]}"
        return match[0]

    rule, remedy = (re.sub("`([a-z_.]+)", key, text) for text in (problem.rule, problem.remedy))
    setting = re.sub(_PATH, lambda match: KEYS[match[0]], problem.setting)
    return replace(problem, setting=setting, rule=rule, remedy=remedy)


def _unknown(config: pulumi.Config) -> Iterable[Problem]:
    known = [key for key in KEYS.values() if "." not in key]
    prefix = f"{config.name}:"
    configured = {key.removeprefix(prefix) for key in CONFIG.get() if key.startswith(prefix)}
    for key in sorted(configured - set(known)):
        remedy = f"use one of Pulumi.yaml, e.g. {get_close_matches(key, known, n=1, cutoff=0)[0]}"
        yield Problem(setting=key, value="…", rule="is not a setting of this project", remedy=remedy)


def _without_effect() -> Iterable[Problem]:
    """Refuse the keys of the package `aws`: only default providers read them, and each side has its own provider.

    `allowedAccountIds` is meant to protect an account, and would not.
    """
    for key in sorted(key.removeprefix("aws:") for key in CONFIG.get() if key.startswith("aws:")):
        instead = INSTEAD_OF_AWS.get(key, "look for its like in Pulumi.yaml")
        yield Problem(
            setting=f"aws:{key}",
            value="…",
            rule="has no effect here, because each side has its own provider",
            remedy=f"{instead}, and remove it by `pulumi config rm aws:{key}`",
        )


def _secrets_in_clear_text(config: pulumi.Config) -> Iterable[Problem]:
    for path, key in KEYS.items():
        if path.rpartition(".")[2] in SECRETS and config.get(key) and not is_config_secret(config.full_key(key)):
            yield Problem(
                setting=key,
                value=SECRET,
                rule="is in clear text in the stack's configuration",
                remedy=f"change it, and write the new one by `pulumi config set --secret {key}`",
            )


def _read(config: pulumi.Config, side: str) -> dict[str, Any]:
    """Return the arguments of a side, or those of the pair itself."""
    values = {
        field: _with_argument_names(hint, _getter(config, hint)(config_key(field, side)))
        for field, hint in _TYPES[side].items()
    }
    return {field: value for field, value in values.items() if value not in ("", [], {}, None)}


def _getter(config: pulumi.Config, hint: Any) -> Callable[[str], Any]:
    if hint is bool:
        return config.get_bool
    if hint is int:
        return config.get_int
    return config.get_object if get_origin(hint) in (list, dict) or is_typeddict(hint) else config.get


def _with_argument_names(hint: Any, value: Any) -> Any:
    """Return an object with the names of its arguments; a key that is none of them stays, to be reported."""
    if not is_typeddict(hint) or not isinstance(value, dict):
        return value
    names = {camel_case(field): field for field in hint.__annotations__}
    return {names.get(key, key): each for key, each in value.items()}
