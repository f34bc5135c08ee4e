"""`RandomBytes`, whose value is secret, and `RandomId`, whose value is not."""

import base64
import binascii
import secrets

from lab.resource_plugins.base import UNKNOWN, Call, Input, Properties, Resource


def at_least_one(inputs: Properties, key: str) -> list[tuple[str, str]]:
    """Return a problem unless the input `key` is a whole number of at least 1."""
    value = inputs[key]
    if value is UNKNOWN or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return []
    return [(key, f"{key} {value!r} must be a whole number of at least 1")]


def create_bytes(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Generate `length` bytes. As in the real plugin, the id is their base64, and **the state has the id in plain**.

    To keep a secret out of the plain state use `RandomPassword`, whose id is a constant.
    """
    outputs = _bytes_outputs(secrets.token_bytes(inputs["length"]))
    return outputs["base64"], outputs


def read_bytes(_call: Call, resource_id: str, state: Properties) -> Properties:
    """Return nothing for an existing state; on import return the properties that follow from the id (base64)."""
    if state:
        return {}
    try:
        value = base64.b64decode(resource_id, validate=True)
    except binascii.Error as error:
        raise ValueError(f"random bytes are imported by their base64 text, and this is not base64: {error}") from error
    if not value:
        raise ValueError("random bytes are imported by their base64 text, and this is empty")
    return {"length": len(value), **_bytes_outputs(value)}


def create_id(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Generate `byteLength` bytes; the id is their base64url text, without padding and without `prefix`."""
    value = secrets.token_bytes(inputs["byteLength"])
    return _id_text(value), _id_outputs(value, inputs.get("prefix", ""))


def read_id(_call: Call, resource_id: str, state: Properties) -> Properties:
    """Return nothing for an existing state; on import return the properties from the id (`[prefix,]base64url`)."""
    if state:
        return {}
    prefix, _, text = resource_id.rpartition(",")
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(
            f"random id {resource_id!r} cannot be imported: {text!r} is not base64url ({error}); "
            "use the form [prefix,]base64url, without padding"
        ) from error
    return {"byteLength": len(value), "prefix": prefix or None, **_id_outputs(value, prefix)}


def _bytes_outputs(value: bytes) -> Properties:
    return {"base64": base64.b64encode(value).decode(), "hex": value.hex()}


def _id_text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _id_outputs(value: bytes, prefix: str) -> Properties:
    return {
        "b64Url": prefix + _id_text(value),
        "b64Std": prefix + base64.b64encode(value).decode(),
        "hex": prefix + value.hex(),
        "dec": prefix + str(int.from_bytes(value)),
    }


BYTES = Resource(
    "random:index/randomBytes:RandomBytes",
    {"length": Input(required=True), "keepers": Input()},
    create=create_bytes,
    read=read_bytes,
    check=lambda _call, inputs: at_least_one(inputs, "length") or inputs,
    outputs=("base64", "hex"),
    secret_outputs=("base64", "hex"),
)

ID = Resource(
    "random:index/randomId:RandomId",
    {"byteLength": Input(required=True), "prefix": Input(), "keepers": Input()},
    create=create_id,
    read=read_id,
    check=lambda _call, inputs: at_least_one(inputs, "byteLength") or inputs,
    outputs=("b64Url", "b64Std", "hex", "dec"),
)
