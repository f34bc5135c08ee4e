"""Property values as plain Python: dict, list, str, int, float, bool, None; secrets unwrapped, unknowns as `UNKNOWN`.

A plugin's own code never handles secret wrappers. `annotate` marks the results as secret by property name, as the
engine does for providers that do not support secrets.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pulumi import Archive, Asset
from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_ON_THE_WIRE

Properties = dict[str, Any]
"""Property name (camelCase) -> plain value."""


class Unknown:
    """A value that is unknown until the operation runs. Its only instance is `UNKNOWN`."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


def plain(value: PropertyValue) -> Any:
    """Return the plain value; whole numbers become int (the protocol has only floats)."""
    content = value.value
    if isinstance(content, Computed) or content == UNKNOWN_ON_THE_WIRE:
        return UNKNOWN
    if isinstance(content, float):
        return int(content) if content.is_integer() else content
    if isinstance(content, Mapping):
        return plain_map(content)
    if isinstance(content, Sequence) and not isinstance(content, str):
        return [plain(item) for item in content]
    return content


def plain_map(values: Mapping[str, PropertyValue]) -> Properties:
    """Return the plain values of a property map."""
    return {key: plain(value) for key, value in values.items()}


def wrap(value: Any) -> PropertyValue:
    """Return the property value of a plain value. Raises TypeError for types that no property can have."""
    if isinstance(value, PropertyValue):
        return value
    if isinstance(value, Unknown):
        return PropertyValue(UNKNOWN_ON_THE_WIRE)
    if value is None or isinstance(value, bool | str | Asset | Archive):
        return PropertyValue(value)
    if isinstance(value, int | float):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({key: wrap(item) for key, item in value.items() if item is not None})
    if isinstance(value, Sequence):
        return PropertyValue([wrap(item) for item in value])
    raise TypeError(f"a property cannot hold a {type(value).__name__}")


def annotate(
    values: Properties, *sources: Mapping[str, PropertyValue], secrets: Collection[str] = ()
) -> dict[str, PropertyValue]:
    """Wrap `values`, without those that are None, and mark secrets.

    Secret is a value whose name, at any depth, is that of a secret in one of `sources`, or is in `secrets`.
    """
    wrapped = {key: wrap(value) for key, value in values.items() if value is not None}
    for source in sources:
        wrapped = {key: _like(value, source.get(key)) for key, value in wrapped.items()}
    return {key: value.with_secret(True) if key in secrets else value for key, value in wrapped.items()}


def is_known(value: Any) -> bool:
    """Tell whether a plain value contains no unknown, at any depth."""
    if isinstance(value, Mapping):
        return all(is_known(item) for item in value.values())
    if isinstance(value, list):
        return all(is_known(item) for item in value)
    return not isinstance(value, Unknown)


def _like(value: PropertyValue, source: PropertyValue | None) -> PropertyValue:
    if source is None:
        return value
    if source.is_secret:
        return value.with_secret(True)
    content, other = value.value, source.value
    if isinstance(content, Mapping) and isinstance(other, Mapping):
        return value.with_value({key: _like(item, other.get(key)) for key, item in content.items()})
    if isinstance(content, tuple) and isinstance(other, tuple):
        # Elements may have been reordered or removed, so one secret element makes the whole list secret.
        hidden = any(item.contains_secret() for item in other)
        return value.with_secret(True) if hidden else value
    return value
