"""Filters and results that the look-ups share."""

from typing import Any

from lab.resource_plugins.aws.common import filters, region_of
from lab.resource_plugins.base import Call, Properties


class LookupFailedError(Exception):
    """A look-up did not match exactly one resource."""


def filters_of(arguments: Properties, **own: Any) -> list[dict[str, Any]]:
    """Return the API's filters for the arguments `filters` and `tags` of a look-up, and for the arguments in `own`."""
    explicit = [{"Name": each["name"], "Values": each["values"]} for each in arguments.get("filters") or []]
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in (arguments.get("tags") or {}).items()]
    return explicit + tags + filters(**{name: str(value) for name, value in own.items() if value is not None})


def only(kind: str, matches: list[Properties]) -> Properties:
    """Return the only match. Raises LookupFailedError with the real provider's text when it is not the only one."""
    if len(matches) != 1:
        raise LookupFailedError(
            f"no matching {kind} found" if not matches else f"multiple {kind}s matched; use additional constraints"
        )
    return matches[0]


def ids_result(call: Call, arguments: Properties, ids: list[str]) -> Properties:
    """Return the result of a look-up of ids."""
    region = region_of(call, arguments)
    return {**arguments, "id": region, "ids": ids, "region": region}
