"""Runs a command on a machine without its network: by the guest agent, or in the namespaces of a host."""

import base64
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from lab.machines import channel, host, record
from lab.machines.channel import Channel, ChannelError
from lab.machines.record import Machine

AnswerT = TypeVar("AnswerT")

_POLL_SECONDS = 0.1
_AGENT_SECONDS = 3.0
_NOT_FOUND = 127
_ENVIRONMENT = (
    "HOME=/root",
    "LANG=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
_FOLDER = "/run"
"""The guest's directory in which a file system for the output of a command is mounted."""
_OUTPUT_MIB = 32
"""A command that prints more gets the error that the device is full; the guest's other file systems are not affected.
"""
_FORWARDED_BYTES = 1 << 20
"""Limit for one read of one stream."""


@dataclass(frozen=True)
class Streams:
    """The files that receive a command's output while it runs. They must have file descriptors."""

    stdout: IO[bytes]
    stderr: IO[bytes]


def execute(
    instance_name_or_id: str,
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float = 60.0,
    streams: Streams | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run `argv` as root on the machine; return its output and exit code (negative: the signal that ended it).

    Works from any process while the lab runs, and waits for a machine that is still booting. Exit code 127 means that
    the command does not exist. With `streams`, the output goes there while the command runs and the result has none.
    Raises LookupError when the machine does not exist or is stopped, subprocess.TimeoutExpired with the output so far
    after `timeout` seconds, when the command is killed, and ChannelError when the guest was rebooted and lost the
    command.
    """
    machine = record.find(instance_name_or_id)
    if machine.process is None:
        raise LookupError(f"the machine {machine.name!r} ({machine.id}) is not running; its log is {machine.console}")
    if machine.kind == "host":
        return _on_host(machine, list(argv), stdin, timeout, streams)
    return _on_virtual_machine(machine, list(argv), stdin, timeout, streams)


def _on_host(
    machine: Machine, argv: list[str], stdin: bytes, timeout: float, streams: Streams | None
) -> subprocess.CompletedProcess[bytes]:
    deadline = time.monotonic() + timeout
    # The host's first process appears a moment after the command that creates its namespaces.
    while (pid := host.first_process(machine)) is None:
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(argv, timeout)
        time.sleep(_POLL_SECONDS)
    with subprocess.Popen(
        [*host.enter(pid), *argv],
        stdin=subprocess.PIPE,
        stdout=streams.stdout if streams else subprocess.PIPE,
        stderr=streams.stderr if streams else subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(stdin, timeout=deadline - time.monotonic())
        except BaseException as error:
            # The command is a child of nsenter, so both are killed as one process group.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise subprocess.TimeoutExpired(argv, timeout, error.output, error.stderr) from error
            raise
    return subprocess.CompletedProcess(argv, process.returncode, output or b"", errors or b"")


def _on_virtual_machine(
    machine: Machine, argv: list[str], stdin: bytes, timeout: float, streams: Streams | None
) -> subprocess.CompletedProcess[bytes]:
    deadline = time.monotonic() + timeout
    output = _ForwardedOutput(streams) if streams else None
    command = output.wrap(argv) if output else argv
    try:
        pid = _call_agent(
            machine, deadline, "guest-exec", path=command[0], arg=command[1:], env=list(_ENVIRONMENT),
            input_data=base64.b64encode(stdin).decode(), capture_output=True,
        )["pid"]  # fmt: skip
    except ChannelError as error:
        return subprocess.CompletedProcess(argv, _NOT_FOUND, b"", f"{error}\n".encode())
    except TimeoutError as error:
        raise subprocess.TimeoutExpired(argv, timeout) from error

    def poll(agent: Channel) -> tuple[dict[str, Any], dict[str, bytes]]:
        return agent.command("guest-exec-status", pid=pid), output.read(agent) if output else {}

    status: dict[str, Any] = {"exited": False}
    try:
        while not status["exited"]:
            status, new_output = _with_agent(machine, deadline, poll)
            if output:
                output.write(new_output)
            if not status["exited"]:
                time.sleep(_POLL_SECONDS)
        while output and (new_output := _with_agent(machine, deadline, output.read)):
            output.write(new_output)
    except BaseException as error:
        last_status = _kill(machine, pid, output)
        if isinstance(error, TimeoutError):
            raise subprocess.TimeoutExpired(argv, timeout, *_printed(last_status)) from error
        raise
    if output:
        _with_agent(machine, time.monotonic() + _AGENT_SECONDS, output.remove)
    code = -status["signal"] if "signal" in status else status["exitcode"]
    return subprocess.CompletedProcess(argv, code, *_printed(status))


class _ForwardedOutput:
    """The output of a command in a guest, which keeps it in two files; forwarded while they grow.

    The agent itself returns a command's output only when the command has ended.
    """

    _SCRIPT = (
        f'mkdir "$0" && mount -t tmpfs -o size={_OUTPUT_MIB}m,mode=700 lab-exec "$0" && '
        'exec setsid "$@" >"$0/out" 2>"$0/err"'
    )
    """The command gets its own session, so that it can be killed with all its children. `exec` keeps the process
    id."""

    def __init__(self, streams: Streams) -> None:
        self._folder = f"{_FOLDER}/lab-exec-{secrets.token_hex(8)}"
        self._sinks = {"out": streams.stdout, "err": streams.stderr}
        self._handles: dict[str, int] = {}
        self._offsets = dict.fromkeys(self._sinks, 0)

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` with its output in the files."""
        return ["sh", "-c", self._SCRIPT, self._folder, *argv]

    def read(self, agent: Channel) -> dict[str, bytes]:
        """Return the next part of the output that has not been written yet; empty if there is none."""
        parts = {}
        for name in self._sinks:
            if name not in self._handles:
                try:
                    self._handles[name] = agent.command("guest-file-open", path=f"{self._folder}/{name}", mode="r")
                except ChannelError:
                    continue  # the file does not exist yet
            handle = self._handles[name]
            # From the offset of what was written, so that a lost answer is read again.
            agent.command("guest-file-seek", handle=handle, offset=self._offsets[name], whence=0)
            part = agent.command("guest-file-read", handle=handle, count=_FORWARDED_BYTES)
            if data := base64.b64decode(part["buf-b64"]):
                parts[name] = data
        return parts

    def write(self, parts: Mapping[str, bytes]) -> None:
        """Write to the streams what `read` returned."""
        for name, data in parts.items():
            self._sinks[name].write(data)
            self._sinks[name].flush()
            self._offsets[name] += len(data)

    def remove(self, agent: Channel) -> None:
        """Remove the files."""
        for handle in self._handles.values():
            agent.command("guest-file-close", handle=handle)
        self._handles.clear()
        agent.command("guest-exec", path="sh", arg=["-c", 'umount -l "$0" && rm -rf "$0"', self._folder])


def _call_agent(machine: Machine, deadline: float, name: str, **arguments: Any) -> Any:
    """Return the result of one command of the agent; raises as `_with_agent` does."""
    return _with_agent(machine, deadline, lambda agent: agent.command(name, **arguments))


def _with_agent(machine: Machine, deadline: float, exchange: Callable[[Channel], AnswerT]) -> AnswerT:
    """Repeat an exchange with the agent until it answers.

    Raises TimeoutError at the deadline, ChannelError when the agent refuses, LookupError when the machine stops.
    """
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the guest agent of {machine.name} ({machine.id}) does not answer")
        try:
            with channel.agent(machine.agent_socket, timeout=min(left, _AGENT_SECONDS)) as agent:
                return exchange(agent)
        except OSError:
            if machine.process is None:
                raise LookupError(f"the machine {machine.name!r} ({machine.id}) has just stopped") from None
            time.sleep(min(_POLL_SECONDS, max(left, 0)))


def _kill(machine: Machine, pid: int, output: _ForwardedOutput | None) -> dict[str, Any]:
    """Kill the command; return its last status, empty if the guest does not answer."""
    status: dict[str, Any] = {}
    # A command with forwarded output leads its process group; without, the group does not exist.
    kill = 'kill -s KILL -- "-$0" 2>/dev/null || kill -s KILL "$0"'
    until = time.monotonic() + _AGENT_SECONDS
    try:
        with channel.agent(machine.agent_socket, timeout=_AGENT_SECONDS) as agent:
            agent.command("guest-exec", path="sh", arg=["-c", kill, str(pid)])
            while not status.get("exited") and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)
                status = agent.command("guest-exec-status", pid=pid)
            if output:
                try:
                    while new_output := output.read(agent):
                        output.write(new_output)
                finally:  # writing fails when the reader of a stream is gone
                    output.remove(agent)
    except (OSError, ChannelError):
        # The guest does not answer, so nothing more can be done.
        pass
    return status


def _printed(status: dict[str, Any]) -> tuple[bytes, bytes]:
    return base64.b64decode(status.get("out-data", "")), base64.b64decode(status.get("err-data", ""))
