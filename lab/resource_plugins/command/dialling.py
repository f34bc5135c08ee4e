"""Connects to an SSH server that may not be up yet, with the retries and the messages of the real plugin.

The specification is the source of pulumi-command 1.2.1: provider/pkg/provider/remote/connection.go and its libraries.
Every error in a dial counts as a failed dial, including a wrong host key and a refused login. The operation's timeout
and the engine's cancellation are checked only between dials: a server that accepts the TCP connection and then sends
nothing blocks forever.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import asyncssh

from lab.resource_plugins.base import Call, CancelledError, TimedOutError
from lab.resource_plugins.command.target import UNLIMITED, Target

T = TypeVar("T")

_FIRST_DELAY = 0.1
_BACK_OFF = 1.5
_LONGEST_DELAY = 5.0
_POLL_SECONDS = 0.1
"""Time until a cancellation is noticed."""

_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 9),
)
"""Go's defaults (net.KeepAliveConfig): a lost machine is noticed within two and a half minutes."""

_REJECTIONS = {1: "administratively prohibited", 2: "connect failed", 3: "unknown channel type", 4: "resource shortage"}
"""Reasons of RFC 4254, section 5.1, in the spelling of golang.org/x/crypto/ssh."""


class DialError(Exception):
    """A dial, or all allowed dials, failed."""


@asynccontextmanager
async def dialled(call: Call, target: Target) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Yield a connection to `target`, through its proxy if it has one, and close it afterwards.

    Raises DialError after `dial_error_limit` failed dials, and between dials TimedOutError at the operation's timeout
    or CancelledError when the engine cancels.
    """
    async with AsyncExitStack() as opened:
        if target.proxy is None:
            yield await _retry(call, "Dial", target.dial_error_limit, lambda: _connect(target, opened))
        else:
            yield await _dial_through(call, target, target.proxy, opened)


async def _retry(call: Call, what: str, limit: int, attempt: Callable[[], Awaitable[T]]) -> T:
    delay = _FIRST_DELAY
    failed = 0
    while True:
        try:
            return await attempt()
        except DialError as error:
            failed += 1
            if limit > UNLIMITED and failed > limit:
                raise DialError(f"after {failed - 1} failed attempts: {error}") from error
            call.log("info", f"{what} {failed}/{'inf' if limit == UNLIMITED else limit} failed: retrying")
        await _pause(call, delay)
        delay = min(delay * _BACK_OFF, _LONGEST_DELAY)


async def _pause(call: Call, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if call.cancelled.is_set():
            raise CancelledError("context canceled")
        if time.monotonic() >= call.started + call.timeout:
            raise TimedOutError("context deadline exceeded")
        await asyncio.sleep(min(left, _POLL_SECONDS))


async def _dial_through(
    call: Call, target: Target, proxy: Target, opened: AsyncExitStack
) -> asyncssh.SSHClientConnection:
    """Log in to the proxy, and through one channel of it to the target. A failed login closes that channel."""
    try:
        bridge = await _retry(call, "Dial proxy", proxy.dial_error_limit, lambda: _connect(proxy, opened))
        limit = target.dial_error_limit
        channel = await _retry(call, "Dial from proxy", limit, lambda: _open_channel(bridge, target, opened))
        return await _retry(call, "Dial", limit, channel.log_in)
    except (DialError, TimedOutError, CancelledError) as error:
        raise type(error)(f"proxy: {error}") from error


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


class _Channel:
    """A channel from the proxy to the target, with the result of the first login on it."""

    def __init__(self, first: asyncssh.SSHClientConnection | DialError) -> None:
        self._first: asyncssh.SSHClientConnection | DialError | None = first

    async def log_in(self) -> asyncssh.SSHClientConnection:
        """Return the connection. After a failed login the channel is closed, so further logins fail with EOF."""
        first, self._first = self._first, None
        if isinstance(first, asyncssh.SSHClientConnection):
            return first
        raise first or DialError("ssh: handshake failed: EOF")


async def _open_channel(bridge: asyncssh.SSHClientConnection, target: Target, opened: AsyncExitStack) -> _Channel:
    login = _Login(target)
    try:
        connection = await asyncssh.connect(target.host, target.port, tunnel=bridge, options=login.options())
    except asyncssh.ChannelOpenError as error:
        rejection = _REJECTIONS.get(error.code, f"unknown reason {error.code}")
        raise DialError(f"ssh: rejected: {rejection} ({error.reason})") from error
    except (OSError, asyncssh.Error) as error:
        return _Channel(DialError(login.explain(error)))
    return _Channel(await opened.enter_async_context(connection))


async def _tcp(target: Target) -> socket.socket:
    """Return a TCP connection to the first of the target's addresses that accepts one."""
    loop = asyncio.get_running_loop()
    reason = "no address"
    try:
        async with asyncio.timeout(target.per_dial_timeout):
            for family, kind, protocol, _, address in await loop.getaddrinfo(
                target.host, target.port, type=socket.SOCK_STREAM
            ):
                link = socket.socket(family, kind, protocol)
                link.setblocking(False)
                for level, option, value in _KEEP_ALIVE:
                    link.setsockopt(level, option, value)
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
        raise DialError(f"dial tcp: lookup {target.host}: no such host") from error
    except TimeoutError:
        reason = "i/o timeout"
    raise DialError(f"dial tcp {target.address}: {reason}")


class _Login:
    """A login: its options, and the text of its error."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def options(self) -> asyncssh.SSHClientConnectionOptions:
        """Return the options, without any from this machine's own SSH configuration."""
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
        return key == self._target.host_key

    def explain(self, error: Exception) -> str:
        """Return the real plugin's message for a failed login, or asyncssh's for errors without a known counterpart."""
        reason = str(error)
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            reason = "ssh: host key mismatch"
        elif isinstance(error, asyncssh.PermissionDenied):
            methods = " ".join(["none", *self._methods()])
            reason = f"ssh: unable to authenticate, attempted methods [{methods}], no supported methods remain"
        elif isinstance(error, asyncssh.ConnectionLost):
            reason = "EOF"
        return f"ssh: handshake failed: {reason}"

    def _methods(self) -> list[str]:
        has_key = self._target.private_key is not None or self._target.agent_path is not None
        return ["publickey"] * has_key + ["password", "keyboard-interactive"] * (self._target.password is not None)


class _PinnedClient(asyncssh.SSHClient):
    def __init__(self, login: _Login) -> None:
        self._login = login

    # asyncssh names the arguments.
    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        return self._login.accepts(key)
