"""Gets an SSH connection to a server that may not be up yet, trying again as the real plugin does.

One wait between dials: 0.1 s, then 1.5 times the last, at most 5 s. Whatever goes wrong in a dial counts, a wrong host
key and a refused login included: a machine that is being set up may show both for a while.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import asyncssh

from lab.plugins.command.connection import ConnectionInputError
from lab.plugins.command.target import UNLIMITED, Target
from lab.plugins.command.waiting import seconds_left
from lab.plugins.provider import Call, TimedOutError

T = TypeVar("T")

_FIRST_DELAY = 0.1
_BACK_OFF = 1.5
_LONGEST_DELAY = 5.0


class DialError(Exception):
    """One dial, or all that were allowed, did not lead to a connection."""


@asynccontextmanager
async def dialled(call: Call, target: Target) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Give a connection to `target`, through its proxy if it has one, and close all of it afterwards.

    Raises DialError after `dial_error_limit` failed dials, TimedOutError when the operation's time is up before there
    is a connection, ConnectionInputError at once for an agent that is not there.
    """
    _check_agent(target, "connection")
    progress = _Progress()
    async with AsyncExitStack() as opened:
        try:
            async with asyncio.timeout(seconds_left(call)):
                if target.proxy is None:
                    connection = await _persist(
                        call, progress, "Dial", target.dial_error_limit, lambda: _connect(target, opened)
                    )
                else:
                    connection = await _dial_through(call, progress, target, target.proxy, opened)
        except TimeoutError as error:
            raise TimedOutError(
                f"context deadline exceeded: no SSH connection to {target.address} within {call.timeout:.0f} s; "
                f"last error: {progress.last_error or 'none, the first dial has not ended'}"
            ) from error
        yield connection


class _Progress:
    """Remembers why the last dial failed."""

    last_error: DialError | None = None


async def _persist(call: Call, progress: _Progress, what: str, limit: int, attempt: Callable[[], Awaitable[T]]) -> T:
    delay = _FIRST_DELAY
    failed = 0
    while True:
        try:
            return await attempt()
        except DialError as error:
            progress.last_error = error
            failed += 1
            if limit > UNLIMITED and failed > limit:
                raise DialError(f"after {failed - 1} failed attempts: {error}") from error
            call.log("info", f"{what} {failed}/{'inf' if limit == UNLIMITED else limit} failed: retrying")
        await asyncio.sleep(delay)
        delay = min(delay * _BACK_OFF, _LONGEST_DELAY)


async def _dial_through(
    call: Call, progress: _Progress, target: Target, proxy: Target, opened: AsyncExitStack
) -> asyncssh.SSHClientConnection:
    """Log in to the proxy, and through it to the target.

    A login that fails behind a proxy is not tried again: the real plugin would try on the same, by then dead channel.
    """
    _check_agent(proxy, "connection.proxy")
    try:
        bridge = await _persist(call, progress, "Dial proxy", proxy.dial_error_limit, lambda: _connect(proxy, opened))
        return await _persist(
            call, progress, "Dial from proxy", target.dial_error_limit, lambda: _connect_behind(bridge, target, opened)
        )
    except (DialError, _LoginBehindProxyError) as error:
        raise DialError(f"proxy: {error}") from error


class _LoginBehindProxyError(Exception):
    """The proxy reached the target, the login there failed."""


async def _connect(target: Target, opened: AsyncExitStack) -> asyncssh.SSHClientConnection:
    link = await _tcp(target)
    login = _Login(target)
    try:
        connection = await asyncssh.connect(target.host, target.port, sock=link, options=login.options())
    except (OSError, asyncssh.Error) as error:
        link.close()
        raise DialError(login.explain(error)) from error
    except BaseException:
        link.close()
        raise
    return await opened.enter_async_context(connection)


async def _connect_behind(
    bridge: asyncssh.SSHClientConnection, target: Target, opened: AsyncExitStack
) -> asyncssh.SSHClientConnection:
    login = _Login(target)
    try:
        connection = await asyncssh.connect(target.host, target.port, tunnel=bridge, options=login.options())
    except asyncssh.ChannelOpenError as error:
        proxy = bridge.get_extra_info("host")
        raise DialError(f"ssh: rejected: {error.reason} ({target.address} from {proxy})") from error
    except (OSError, asyncssh.Error) as error:
        raise _LoginBehindProxyError(login.explain(error)) from error
    return await opened.enter_async_context(connection)


async def _tcp(target: Target) -> socket.socket:
    """Return a TCP connection to the first of the target's addresses that answers."""
    loop = asyncio.get_running_loop()
    reason = "no address"
    try:
        async with asyncio.timeout(target.per_dial_timeout):
            for family, kind, protocol, _, address in await loop.getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM
            ):
                link = socket.socket(family, kind, protocol)
                link.setblocking(False)
                try:
                    await loop.sock_connect(link, address)
                except OSError as error:
                    link.close()
                    reason = f"connect: {os.strerror(error.errno or 0).lower()}"
                except BaseException:
                    link.close()
                    raise
                else:
                    return link
    except socket.gaierror as error:
        reason = f"lookup {target.host}: {(error.strerror or str(error)).lower()}"
    except TimeoutError:
        reason = "i/o timeout"
    raise DialError(f"dial tcp {target.address}: {reason}")


class _Login:
    """One login: its options, and its error in words."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._presented: asyncssh.SSHKey | None = None

    def options(self) -> asyncssh.SSHClientConnectionOptions:
        """Return the options; nothing comes from this machine's own SSH configuration."""
        target = self._target
        keys = [target.private_key] if target.private_key else [] if target.agent_path else None
        return asyncssh.SSHClientConnectionOptions(
            config=None,
            username=target.user,
            password=target.password,
            client_keys=keys,
            agent_path=target.agent_path,
            known_hosts=([], [], []) if target.host_key else None,
            server_host_key_algs=[target.host_key.get_algorithm()] if target.host_key else "default",
            client_factory=lambda: _PinnedClient(self),
            preferred_auth=["publickey", "password", "keyboard-interactive"],
            login_timeout=0,
        )

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        """Tell whether the server's key is the pinned one."""
        self._presented = key
        return key == self._target.host_key

    def explain(self, error: Exception) -> str:
        """Return why the login failed, as the real plugin says it, with what one needs to put it right."""
        if isinstance(error, asyncssh.HostKeyNotVerifiable) and self._presented and self._target.host_key:
            detail = (
                f"ssh: host key mismatch: {self._target.address} presented {self._presented.get_fingerprint()}, "
                f"hostKey pins {self._target.host_key.get_fingerprint()}"
            )
        elif isinstance(error, asyncssh.PermissionDenied):
            methods = " ".join(["none", *self._methods()])
            detail = (
                f"ssh: unable to authenticate, attempted methods [{methods}], no supported methods remain "
                f"(user {self._target.user!r} at {self._target.address})"
            )
        else:
            detail = f"{error} ({self._target.address})"
        return f"ssh: handshake failed: {detail}"

    def _methods(self) -> list[str]:
        has_key = self._target.private_key is not None or self._target.agent_path is not None
        return ["publickey"] * has_key + ["password", "keyboard-interactive"] * (self._target.password is not None)


class _PinnedClient(asyncssh.SSHClient):
    def __init__(self, login: _Login) -> None:
        self._login = login

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        return self._login.accepts(key)


def _check_agent(target: Target, name: str) -> None:
    if target.agent_path is None:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(target.agent_path)
        except OSError as error:
            raise ConnectionInputError(
                f"dial unix {target.agent_path}: {error.strerror}; start the SSH agent, or unset SSH_AUTH_SOCK "
                f"and {name}.agentSocketPath"
            ) from error
