"""`RandomPassword`, whose result is secret, and `RandomString`, whose result is not."""

import secrets
import string
from collections.abc import Mapping

import bcrypt

from lab.resource_plugins.base import UNKNOWN, Call, Input, Properties, Resource, is_known
from lab.resource_plugins.random.binary import at_least_one

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""Special characters when `overrideSpecial` names no others."""

_CLASSES: Mapping[str, str] = {
    "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase,
    "numeric": string.digits,
    "special": SPECIAL,
}
_BCRYPT_LENGTH = 72
"""bcrypt takes no more bytes."""


def generate(inputs: Properties) -> str:
    """Return a text of `length` characters with at least `min<Class>` of each class, in random order."""
    classes = _characters(inputs)
    drawn = [secrets.choice(classes[name]) for name in classes for _ in range(inputs[_least(name)])]
    allowed = "".join(characters for name, characters in classes.items() if inputs[name])
    drawn += [secrets.choice(allowed) for _ in range(inputs["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def check(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    """Refuse a length below 1 or below the sum of the minima, and a text of no characters; settle `number`."""
    if found := at_least_one(inputs, "length"):
        return found
    inputs = _with_numeric(inputs)
    wanted = {**_DEFAULTS, **inputs}
    if not is_known({key: wanted[key] for key in ("length", *_DEFAULTS)}):
        return inputs
    least = sum(wanted[_least(name)] for name in _CLASSES)
    if least > wanted["length"]:
        return [("length", f"length {wanted['length']} is less than the {least} characters that the minima ask for")]
    if not any(wanted[name] for name in _CLASSES):
        return [("length", f"no characters to choose from: one of {', '.join(_CLASSES)} is to be true")]
    return inputs


def create_password(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Generate a password. The id is `none`: it must not show what is secret."""
    result = generate(inputs)
    digest = bcrypt.hashpw(result.encode()[:_BCRYPT_LENGTH], bcrypt.gensalt(10, prefix=b"2a")).decode()
    return "none", {"result": result, "bcryptHash": digest, "number": inputs["numeric"]}


def create_string(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Generate a text, which is the id too."""
    result = generate(inputs)
    return result, {"result": result, "number": inputs["numeric"]}


def _characters(inputs: Properties) -> dict[str, str]:
    return {**_CLASSES, "special": inputs.get("overrideSpecial") or SPECIAL}


def _least(name: str) -> str:
    return f"min{name.capitalize()}"


def _with_numeric(inputs: Properties) -> Properties:
    """Return `inputs` with the deprecated `number` under its new name `numeric`."""
    if "number" not in inputs or inputs["number"] is UNKNOWN:
        return inputs
    return {**inputs, "numeric": inputs.get("numeric", inputs["number"])}


_DEFAULTS: Mapping[str, bool | int] = {**dict.fromkeys(_CLASSES, True), **{_least(name): 0 for name in _CLASSES}}

_INPUTS = {
    "length": Input(required=True),
    "keepers": Input(),
    "number": Input(computed=True),
    "overrideSpecial": Input(),
    **{key: Input(default=value) for key, value in _DEFAULTS.items()},
}

PASSWORD = Resource(
    "random:index/randomPassword:RandomPassword",
    _INPUTS,
    create=create_password,
    check=check,
    outputs=("result", "bcryptHash"),
    secret_outputs=("result", "bcryptHash"),
)

STRING = Resource(
    "random:index/randomString:RandomString",
    _INPUTS,
    create=create_string,
    check=check,
    outputs=("result",),
)
