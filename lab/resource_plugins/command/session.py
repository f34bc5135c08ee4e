"""Runs a command on an SSH connection, after sending the variables, each of which the server confirms."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import asyncssh
from asyncssh.packet import String

from lab.resource_plugins.base.log import Logger
from lab.resource_plugins.command.transcript import CommandError, Transcript

_SIGNALS = {
    "ABRT": 6,
    "ALRM": 14,
    "FPE": 8,
    "HUP": 1,
    "ILL": 4,
    "INT": 2,
    "KILL": 9,
    "PIPE": 13,
    "QUIT": 3,
    "SEGV": 11,
    "TERM": 15,
}
"""Signal names of RFC 4254, section 6.10."""

_NOT_SET = """Unable to set {name!r}. This only works if your SSH server is configured to accept
these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could
prefix the command itself with the variables in the form 'VAR=value command'"""


class SetEnvironmentError(Exception):
    """The server refuses an environment variable of the program."""


async def run(
    connection: asyncssh.SSHClientConnection,
    command: str,
    *,
    environment: Mapping[str, str],
    previous: Mapping[str, str],
    stdin: str,
    transcript: Transcript,
    log: Logger,
) -> None:
    """Run `command` and write its output to `transcript`.

    The server must accept the variables of `environment`. It may refuse those of `previous` (outputs of the previous
    run), which logs a warning. Raises SetEnvironmentError, or CommandError when the command does not end with status 0.
    """

    async def send_variables(channel: Any) -> None:
        for name, value in environment.items():
            if not await _set(channel, name, value):
                log("error", _NOT_SET.format(name=name))
                raise SetEnvironmentError(f'could not set environment variable "{name}": ssh: setenv failed')
        for name, value in previous.items():
            if not await _set(channel, name, value):
                log("warning", _NOT_SET.format(name=name))

    session = _Session(stdin.encode(), transcript, send_variables)
    await connection.create_session(lambda: session, command, encoding=None)
    reason = await session.ended
    transcript.close()
    if reason is not None:
        raise CommandError(transcript.failure(reason, command))


async def _set(channel: Any, name: str, value: str) -> bool:
    # Not asyncssh's own argument `env`, which requests no reply: a refused variable would go unnoticed.
    return bool(await channel.ask(b"env", String(name), String(value)))


class _Session(asyncssh.SSHClientSession[bytes]):
    """Feeds stdin, collects both streams, and resolves `ended` to None or the reason of the failure."""

    def __init__(self, stdin: bytes, transcript: Transcript, before_command: Any) -> None:
        self._stdin = stdin
        self._transcript = transcript
        self._before_command = before_command
        self._reason: str | None = "wait: remote command exited without exit status or exit signal"
        self.ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        chan.ask = ask = chan._make_request

        async def after_variables(request: bytes, *arguments: bytes) -> bool | None:
            if request == b"exec":
                await self._before_command(chan)
            return bool(await ask(request, *arguments))

        chan._make_request = after_variables

    def session_started(self) -> None:
        # A short command may have ended, and closed its channel, before this.
        with suppress(BrokenPipeError):
            if self._stdin:
                self._channel.write(self._stdin)
            self._channel.write_eof()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._transcript.write("stderr" if datatype == asyncssh.EXTENDED_DATA_STDERR else "stdout", data)

    def exit_status_received(self, status: int) -> None:
        self._reason = f"Process exited with status {status}" if status else None

    # asyncssh names the arguments.
    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: ARG002
        self._reason = f"Process exited with status {128 + _SIGNALS.get(signal, 0)} from signal {signal}"
        if msg:
            self._reason += f". Reason was: {msg}"

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncssh's
        if not self.ended.done():
            self.ended.set_result(self._reason)
