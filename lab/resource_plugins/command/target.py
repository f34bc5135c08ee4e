"""The server of a valid `connection`, with its keys parsed.

This module imports asyncssh, which takes half a second. Previews do not import it, because they never dial.
"""

import os
import socket
from dataclasses import dataclass

import asyncssh

from lab.resource_plugins.base import Properties
from lab.resource_plugins.command.connection import ConnectionInputError

UNLIMITED = -1
"""Value of `dialErrorLimit` for no limit."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One SSH server and how to log in to it."""

    host: str
    port: int
    user: str
    password: str | None
    private_key: asyncssh.SSHKey | None
    host_key: asyncssh.SSHKey | None
    """None: every host key is accepted."""
    agent_path: str | None
    dial_error_limit: int
    """Number of failed dials that are retried; -1 for no limit."""
    per_dial_timeout: float | None
    """Seconds until a TCP connection must be established; None for no limit."""
    proxy: "Target | None"

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def target_of(connection: Properties) -> Target:
    """Return the server of `connection`, which has its defaults.

    Raises ConnectionInputError, with the real plugin's message, for keys and an agent that cannot be used.
    """
    return Target(
        host=connection["host"],
        port=int(connection["port"]),
        user=connection["user"],
        password=connection.get("password"),
        host_key=_host_key(connection.get("hostKey")),
        private_key=_private_key(connection.get("privateKey"), connection.get("privateKeyPassword")),
        agent_path=_agent(connection.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK") or None),
        dial_error_limit=int(connection["dialErrorLimit"]),
        per_dial_timeout=connection["perDialTimeout"] or None,
        proxy=_proxy(connection.get("proxy")),
    )


def _proxy(connection: Properties | None) -> Target | None:
    try:
        return target_of(connection) if connection else None
    except ConnectionInputError as error:
        raise ConnectionInputError(f"proxy: {error}") from error


def _private_key(text: str | None, passphrase: str | None) -> asyncssh.SSHKey | None:
    if text is None:
        return None
    try:
        return asyncssh.import_private_key(text, passphrase)
    except asyncssh.KeyEncryptionError as error:
        raise ConnectionInputError("x509: decryption password incorrect") from error
    except asyncssh.KeyImportError as error:
        encrypted = "assphrase" in str(error)
        raise ConnectionInputError(
            "ssh: this private key is passphrase protected" if encrypted else "ssh: no key found"
        ) from error


def _host_key(text: str | None) -> asyncssh.SSHKey | None:
    if text is None:
        return None
    for line in text.splitlines():
        try:
            return asyncssh.import_public_key(line)
        except asyncssh.KeyImportError:
            continue
    raise ConnectionInputError("failed to parse host key: ssh: no key found")


def _agent(path: str | None) -> str | None:
    """Return the path after a test connection: the real plugin connects to the agent even when it has a key."""
    if path is None:
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError as error:
            raise ConnectionInputError(f"dial unix {path}: connect: {os.strerror(error.errno or 0).lower()}") from error
    return path
