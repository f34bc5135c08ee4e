"""The server that a valid `connection` names, with its keys parsed.

Importing this takes asyncssh, which takes half a second: previews, which never dial, do without.
"""

import os
from dataclasses import dataclass

import asyncssh

from lab.plugins.command.connection import ConnectionInputError
from lab.plugins.provider import Properties

UNLIMITED = -1
"""`dialErrorLimit` of who wants to try for ever."""


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
