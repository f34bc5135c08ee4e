"""The input `connection` of a remote command: its defaults and its validation."""

from collections.abc import Mapping
from typing import Any

from lab.resource_plugins.base import UNKNOWN

DEFAULTS: Mapping[str, Any] = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
"""Defaults for the host and for a proxy. `perDialTimeout` is in seconds; 0 means no limit."""

_FIELDS = frozenset(
    {*DEFAULTS, "host", "password", "privateKey", "privateKeyPassword", "agentSocketPath", "hostKey", "proxy"}
)


class ConnectionInputError(ValueError):
    """A field of `connection` cannot be used; another attempt would fail, too."""


def with_defaults(connection: Any) -> Any:
    """Return `connection` with the plugin's defaults filled in; unknowns stay as they are."""
    if not isinstance(connection, dict):
        return connection
    filled = {**DEFAULTS, **{key: value for key, value in connection.items() if value is not None}}
    return {**filled, "proxy": with_defaults(filled["proxy"])} if "proxy" in filled else filled


def problems_of(connection: Any, path: str = "connection") -> list[tuple[str, str]]:
    """Return the problems with the fields of `connection`, as (path, reason)."""
    if connection is UNKNOWN:
        return []
    if not isinstance(connection, dict):
        return [(path, f"{path} must be an object with at least 'host', not {type(connection).__name__}")]
    fields = _FIELDS if path == "connection" else _FIELDS - {"proxy"}
    problems = [
        (f"{path}.{key}", f"{path} has no field {key!r}; it has: {', '.join(sorted(fields))}")
        for key in sorted(connection.keys() - fields)
    ]
    if not connection.get("host"):
        problems.append((f"{path}.host", f"{path} needs 'host': the name or address to connect to"))
    if path == "connection" and connection.get("proxy") is not None:
        problems += problems_of(connection["proxy"], "connection.proxy")
    return problems
