"""`RandomPassword`, whose result is secret, and `RandomString`, whose result is not."""

import secrets
import string
from collections.abc import Mapping

import bcrypt

from lab.resource_plugins.base import UNKNOWN, Call, Input, Properties, Resource, is_known
from lab.resource_plugins.random.binary import at_least_one

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""The default of `overrideSpecial`."""

_CLASSES: Mapping[str, str] = {
    "upper": string.ascii_uppercase,
    "lower": string.ascii_lowercase,
    "numeric": string.digits,
    "special": SPECIAL,
}
_BCRYPT_LENGTH = 72
"""The maximum number of bytes that bcrypt accepts."""


def generate(inputs: Properties) -> str:
    """Return `length` characters with at least `min<Class>` of each class, in random order."""
    classes = _characters(inputs)
    characters = [secrets.choice(classes[name]) for name in classes for _ in range(inputs[_minimum(name)])]
    allowed = "".join(classes[name] for name in classes if inputs[name])
    characters += [secrets.choice(allowed) for _ in range(inputs["length"] - len(characters))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def check(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    """Refuse a length below 1 or below the sum of the minima, and an empty set of characters; resolve `number`."""
    if problems := at_least_one(inputs, "length"):
        return problems
    inputs = _with_numeric(inputs)
    values = {**_DEFAULTS, **inputs}
    if not is_known({key: values[key] for key in ("length", *_DEFAULTS)}):
        return inputs
    total = sum(values[_minimum(name)] for name in _CLASSES)
    if total > values["length"]:
        return [("length", f"length {values['length']} is less than {total}, the sum of the minima; make it longer")]
    if not any(values[name] for name in _CLASSES):
        return [("length", f"no characters to choose from: set one of {', '.join(_CLASSES)} to true")]
    return inputs


def create_password(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Generate a password. The id is `none`, because an id is not secret."""
    result = generate(inputs)
    digest = bcrypt.hashpw(result.encode()[:_BCRYPT_LENGTH], bcrypt.gensalt(10, prefix=b"2a")).decode()
    return "none", {"result": result, "bcryptHash": digest, "number": inputs["numeric"]}


def create_string(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Generate a string, which is also the id."""
    result = generate(inputs)
    return result, {"result": result, "number": inputs["numeric"]}


def _characters(inputs: Properties) -> dict[str, str]:
    return {**_CLASSES, "special": inputs.get("overrideSpecial") or SPECIAL}


def _minimum(name: str) -> str:
    return f"min{name.capitalize()}"


def _with_numeric(inputs: Properties) -> Properties:
    """Return `inputs` with the deprecated `number` also under its new name `numeric`."""
    if "number" not in inputs or inputs["number"] is UNKNOWN:
        return inputs
    return {**inputs, "numeric": inputs.get("numeric", inputs["number"])}


_DEFAULTS: Mapping[str, bool | int] = {**dict.fromkeys(_CLASSES, True), **{_minimum(name): 0 for name in _CLASSES}}

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
