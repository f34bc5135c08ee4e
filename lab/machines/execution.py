"""Running a command on a machine whatever state its network is in: by the guest agent, or among a host's processes."""

import base64
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from lab.machines import channel, host, record
from lab.machines.record import Machine

_POLL_SECONDS = 0.1
_AGENT_SECONDS = 3.0
_NOT_FOUND = 127
_ENVIRONMENT = (
    "HOME=/root",
    "LANG=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)


def execute(
    instance_name_or_id: str, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 60.0
) -> subprocess.CompletedProcess[bytes]:
    """Run `argv` as root on the machine and return its output and exit code (minus the signal that ended it).

    Works from any process while the lab runs. 127 means that there is no such command. Waits for a machine that is
    still booting. Raises LookupError when there is no such machine or it is stopped; subprocess.TimeoutExpired after
    `timeout` seconds, when the command is killed.
    """
    machine = record.find(instance_name_or_id)
    if machine.process is None:
        raise LookupError(f"the machine {machine.name!r} ({machine.id}) is not running; its log is {machine.console}")
    if machine.kind == "host":
        return _on_host(machine, list(argv), stdin, timeout)
    return _on_virtual_machine(machine, list(argv), stdin, timeout)


def _on_host(machine: Machine, argv: list[str], stdin: bytes, timeout: float) -> subprocess.CompletedProcess[bytes]:
    deadline = time.monotonic() + timeout
    # Its first process appears a moment after the command that makes its namespaces.
    while (pid := host.first_process(machine)) is None:
        if time.monotonic() > deadline:
            raise subprocess.TimeoutExpired(argv, timeout)
        time.sleep(_POLL_SECONDS)
    with subprocess.Popen(
        [*host.enter(pid), *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(stdin, timeout=deadline - time.monotonic())
        except BaseException as error:
            # The command is a child of nsenter, so both are killed, as one process group.
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise subprocess.TimeoutExpired(argv, timeout) from error
            raise
    return subprocess.CompletedProcess(argv, process.returncode, output, errors)


def _on_virtual_machine(
    machine: Machine, argv: list[str], stdin: bytes, timeout: float
) -> subprocess.CompletedProcess[bytes]:
    deadline = time.monotonic() + timeout
    try:
        pid = _ask(
            machine, deadline, "guest-exec", path=argv[0], arg=argv[1:], env=list(_ENVIRONMENT),
            input_data=base64.b64encode(stdin).decode(), capture_output=True,
        )["pid"]  # fmt: skip
    except channel.ChannelError as error:
        return subprocess.CompletedProcess(argv, _NOT_FOUND, b"", f"{error}\n".encode())
    except TimeoutError as error:
        raise subprocess.TimeoutExpired(argv, timeout) from error
    while True:
        try:
            status = _ask(machine, deadline, "guest-exec-status", pid=pid)
        except TimeoutError as error:
            _kill(machine, pid)
            raise subprocess.TimeoutExpired(argv, timeout) from error
        if status["exited"]:
            return _finished(argv, status)
        time.sleep(_POLL_SECONDS)


def _ask(machine: Machine, deadline: float, name: str, **arguments: Any) -> Any:
    """Ask the agent until it answers. Raises TimeoutError at the deadline, ChannelError when it refuses."""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"the guest agent of {machine.name} ({machine.id}) does not answer")
        try:
            with channel.agent(machine.agent_socket, timeout=min(left, _AGENT_SECONDS)) as agent:
                return agent.command(name, **arguments)
        except OSError:
            if machine.process is None:
                raise LookupError(f"the machine {machine.name!r} ({machine.id}) has just stopped") from None
            time.sleep(min(_POLL_SECONDS, max(left, 0)))


def _kill(machine: Machine, pid: int) -> None:
    try:
        with channel.agent(machine.agent_socket, timeout=_AGENT_SECONDS) as agent:
            agent.command("guest-exec", path="kill", arg=["-KILL", str(pid)])
    except (OSError, channel.ChannelError):
        # Nothing is left to try: the guest does not answer.
        pass


def _finished(argv: list[str], status: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
    code = -status["signal"] if "signal" in status else status["exitcode"]
    output, errors = (base64.b64decode(status.get(key, "")) for key in ("out-data", "err-data"))
    return subprocess.CompletedProcess(argv, code, output, errors)
