"""The input `connection` of a remote command: its defaults, what is wrong with it, and what SSH needs of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncssh

from lab.plugins.provider import UNKNOWN, Properties

DEFAULTS: Mapping[str, Any] = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
"""What the plugin fills in, for the host and for a proxy. `perDialTimeout` is in seconds, 0 is no limit."""

_FIELDS = frozenset(
    {*DEFAULTS, "host", "password", "privateKey", "privateKeyPassword", "agentSocketPath", "hostKey", "proxy"}
)

UNLIMITED = -1
"""`dialErrorLimit` of who wants to try for ever."""


class ConnectionInputError(ValueError):
    """A field of `connection` is of no use; trying again would not help."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One SSH server and how to log in to it."""

    host: str
    port: int
    user: str
    password: str | None
    private_key: asyncssh.SSHKey | None
    host_key: asyncssh.SSHKey | None
    """None: any host key is taken."""
    agent_path: str | None
    dial_error_limit: int
    """How many failed dials are forgiven; -1 for any number."""
    per_dial_timeout: float | None
    """Seconds for one TCP connection to be made; None for no limit."""
    proxy: "Target | None"

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def with_defaults(connection: Any) -> Any:
    """Return `connection` with the plugin's defaults filled in; unknowns stay as they are."""
    if not isinstance(connection, dict):
        return connection
    filled = {**DEFAULTS, **{key: value for key, value in connection.items() if value is not None}}
    return {**filled, "proxy": with_defaults(filled["proxy"])} if "proxy" in filled else filled


def complaints(connection: Any, path: str = "connection") -> list[tuple[str, str]]:
    """Return what is wrong with the fields of `connection`, as (path, reason)."""
    if connection is UNKNOWN:
        return []
    if not isinstance(connection, dict):
        return [(path, f"{path} is to be an object with at least 'host', not {type(connection).__name__}")]
    fields = _FIELDS if path == "connection" else _FIELDS - {"proxy"}
    found = [
        (f"{path}.{key}", f"{path} has no field {key!r}; it has: {', '.join(sorted(fields))}")
        for key in sorted(connection.keys() - fields)
    ]
    if not connection.get("host"):
        found.append((f"{path}.host", f"{path} needs 'host': the name or address to connect to"))
    if path == "connection" and connection.get("proxy") is not None:
        found += complaints(connection["proxy"], "connection.proxy")
    return found


def target_of(connection: Properties, path: str = "connection") -> Target:
    """Return the server that `connection` (with its defaults) names. Raises ConnectionInputError for unusable keys."""
    proxy = connection.get("proxy")
    return Target(
        host=connection["host"],
        port=int(connection["port"]),
        user=connection["user"],
        password=connection.get("password"),
        private_key=_private_key(connection, path),
        host_key=_host_key(connection.get("hostKey"), path),
        agent_path=connection.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK") or None,
        dial_error_limit=int(connection["dialErrorLimit"]),
        per_dial_timeout=connection["perDialTimeout"] or None,
        proxy=target_of(proxy, "connection.proxy") if proxy else None,
    )


def _private_key(connection: Properties, path: str) -> asyncssh.SSHKey | None:
    text = connection.get("privateKey")
    if text is None:
        return None
    try:
        return asyncssh.import_private_key(text, connection.get("privateKeyPassword"))
    except asyncssh.KeyEncryptionError as error:
        raise ConnectionInputError(
            f"{path}.privateKeyPassword does not decrypt {path}.privateKey ({error}); give the key's own passphrase"
        ) from error
    except asyncssh.KeyImportError as error:
        raise ConnectionInputError(
            f"{path}.privateKey is no private key that can be used ({error}); give it whole, in OpenSSH or PEM form, "
            f"and {path}.privateKeyPassword if it is encrypted"
        ) from error


def _host_key(text: str | None, path: str) -> asyncssh.SSHKey | None:
    if text is None:
        return None
    for line in text.splitlines():
        try:
            return asyncssh.import_public_key(line)
        except asyncssh.KeyImportError:
            continue
    raise ConnectionInputError(
        f"failed to parse host key: {path}.hostKey {text!r} is no public key; give one line as in authorized_keys, "
        "e.g. 'ssh-ed25519 AAAA…'"
    )
