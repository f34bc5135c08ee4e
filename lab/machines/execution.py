"""Running a command on a machine whatever state its network is in: by the guest agent, or among a host's processes."""

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
"""Below it a guest keeps what a command prints, in a file system of its own."""
_KEPT_MIB = 32
"""A command that prints more gets the error that the device is full; the guest's own file systems stay as they are."""
_FORWARDED_BYTES = 1 << 20
"""At a time, of each of the two."""


@dataclass(frozen=True)
class Streams:
    """Where a command's output goes as it comes: files that have a descriptor."""

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
    """Run `argv` as root on the machine and return its output and exit code (minus the signal that ended it).

    Works from any process while the lab runs. 127 means that there is no such command. Waits for a machine that is
    still booting. With `streams` the output goes there as it comes, and what is returned has none. Raises LookupError
    when there is no such machine or it is stopped; subprocess.TimeoutExpired after `timeout` seconds, when the command
    is killed, with what it had printed; ChannelError when the guest has lost the command, because it was rebooted.
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
    # Its first process appears a moment after the command that makes its namespaces.
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
            # The command is a child of nsenter, so both are killed, as one process group.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise subprocess.TimeoutExpired(argv, timeout, error.output, error.stderr) from error
            raise
    return subprocess.CompletedProcess(argv, process.returncode, output or b"", errors or b"")


def _on_virtual_machine(
    machine: Machine, argv: list[str], stdin: bytes, timeout: float, streams: Streams | None
) -> subprocess.CompletedProcess[bytes]:
    deadline = time.monotonic() + timeout
    tail = _Tail(streams) if streams else None
    command = tail.command(argv) if tail else argv
    try:
        pid = _ask(
            machine, deadline, "guest-exec", path=command[0], arg=command[1:], env=list(_ENVIRONMENT),
            input_data=base64.b64encode(stdin).decode(), capture_output=True,
        )["pid"]  # fmt: skip
    except ChannelError as error:
        return subprocess.CompletedProcess(argv, _NOT_FOUND, b"", f"{error}\n".encode())
    except TimeoutError as error:
        raise subprocess.TimeoutExpired(argv, timeout) from error

    def look(agent: Channel) -> tuple[dict[str, Any], dict[str, bytes]]:
        return agent.command("guest-exec-status", pid=pid), tail.news(agent) if tail else {}

    status: dict[str, Any] = {"exited": False}
    try:
        while not status["exited"]:
            status, news = _asked(machine, deadline, look)
            if tail:
                tail.write(news)
            if not status["exited"]:
                time.sleep(_POLL_SECONDS)
        while tail and (news := _asked(machine, deadline, tail.news)):
            tail.write(news)
    except BaseException as error:
        last = _kill(machine, pid, tail)
        if isinstance(error, TimeoutError):
            raise subprocess.TimeoutExpired(argv, timeout, *_printed(last)) from error
        raise
    if tail:
        _asked(machine, time.monotonic() + _AGENT_SECONDS, tail.remove)
    code = -status["signal"] if "signal" in status else status["exitcode"]
    return subprocess.CompletedProcess(argv, code, *_printed(status))


class _Tail:
    """What a command in a guest prints: kept in two files there, forwarded as they grow.

    The agent itself hands out a command's output when the command has ended, and not before.
    """

    _SCRIPT = (
        f'mkdir "$0" && mount -t tmpfs -o size={_KEPT_MIB}m,mode=700 lab-exec "$0" && '
        'exec setsid "$@" >"$0/out" 2>"$0/err"'
    )
    """A session of its own, so that all of it can be killed. The shell becomes the command: one process id."""

    def __init__(self, streams: Streams) -> None:
        self._folder = f"{_FOLDER}/lab-exec-{secrets.token_hex(8)}"
        self._sinks = {"out": streams.stdout, "err": streams.stderr}
        self._handles: dict[str, int] = {}
        self._offsets = dict.fromkeys(self._sinks, 0)

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return what is run in the place of `argv`."""
        return ["sh", "-c", self._SCRIPT, self._folder, *argv]

    def news(self, agent: Channel) -> dict[str, bytes]:
        """Return what the files have behind what was written, a part of it if it is much; nothing is an empty one."""
        found = {}
        for name in self._sinks:
            if name not in self._handles:
                try:
                    self._handles[name] = agent.command("guest-file-open", path=f"{self._folder}/{name}", mode="r")
                except ChannelError:
                    continue  # it is not there yet
            handle = self._handles[name]
            # By the offset of what was written: an answer that was lost is asked for again.
            agent.command("guest-file-seek", handle=handle, offset=self._offsets[name], whence=0)
            part = agent.command("guest-file-read", handle=handle, count=_FORWARDED_BYTES)
            if data := base64.b64decode(part["buf-b64"]):
                found[name] = data
        return found

    def write(self, news: Mapping[str, bytes]) -> None:
        """Write what `news` returned."""
        for name, data in news.items():
            self._sinks[name].write(data)
            self._sinks[name].flush()
            self._offsets[name] += len(data)

    def remove(self, agent: Channel) -> None:
        """Remove the files."""
        for handle in self._handles.values():
            agent.command("guest-file-close", handle=handle)
        self._handles.clear()
        agent.command("guest-exec", path="sh", arg=["-c", 'umount -l "$0" && rm -rf "$0"', self._folder])


def _ask(machine: Machine, deadline: float, name: str, **arguments: Any) -> Any:
    """Ask the agent one thing; else as `_asked`."""
    return _asked(machine, deadline, lambda agent: agent.command(name, **arguments))


def _asked(machine: Machine, deadline: float, ask: Callable[[Channel], AnswerT]) -> AnswerT:
    """Ask the agent until it answers. Raises TimeoutError at the deadline, ChannelError when it refuses."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the guest agent of {machine.name} ({machine.id}) does not answer")
        try:
            with channel.agent(machine.agent_socket, timeout=min(left, _AGENT_SECONDS)) as agent:
                return ask(agent)
        except OSError:
            if machine.process is None:
                raise LookupError(f"the machine {machine.name!r} ({machine.id}) has just stopped") from None
            time.sleep(min(_POLL_SECONDS, max(left, 0)))


def _kill(machine: Machine, pid: int, tail: _Tail | None) -> dict[str, Any]:
    """Kill the command; return its last status, of a guest that answers."""
    status: dict[str, Any] = {}
    # A forwarded command leads its process group; else there is no such group.
    kill = 'kill -s KILL -- "-$0" 2>/dev/null || kill -s KILL "$0"'
    until = time.monotonic() + _AGENT_SECONDS
    try:
        with channel.agent(machine.agent_socket, timeout=_AGENT_SECONDS) as agent:
            agent.command("guest-exec", path="sh", arg=["-c", kill, str(pid)])
            while not status.get("exited") and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)
                status = agent.command("guest-exec-status", pid=pid)
            if tail:
                try:
                    while news := tail.news(agent):
                        tail.write(news)
                finally:  # also where nothing reads what is written
                    tail.remove(agent)
    except (OSError, ChannelError):
        # Nothing is left to try: the guest does not answer.
        pass
    return status


def _printed(status: dict[str, Any]) -> tuple[bytes, bytes]:
    return base64.b64decode(status.get("out-data", "")), base64.b64decode(status.get("err-data", ""))
