"""Commands on a machine by its guest agent: output while they run, and at a timeout.

The agent is a stand-in of this file, which runs the commands on this machine. Does not prove what qemu-ga does
(lab/tests/machines/test_machines.py).
"""

import base64
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab import cli, hosts, machines, settings
from lab.machines import Streams, execution
from lab.machines.record import Machine

_DELIMITER = b"\xff"


class Agent:
    """A guest agent that answers one client after another."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._files: dict[int, Any] = {}
        self._numbers = itertools.count(1000)
        self.commands: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            # A client that times out closes the connection; the agent then serves the next one.
            with contextlib.suppress(ConnectionError), connection, connection.makefile("rwb") as lines:
                for line in lines:
                    request = json.loads(line.lstrip(_DELIMITER))
                    lines.write(_DELIMITER if "sync" in request["execute"] else b"")
                    try:
                        answer = {"return": self._answer(request["execute"], request["arguments"])}
                    except (OSError, KeyError) as error:
                        answer = {"error": {"desc": str(error)}}
                    lines.write(json.dumps(answer).encode() + b"\n")
                    lines.flush()

    def _answer(self, name: str, arguments: dict[str, Any]) -> Any:
        self.commands.append(name)
        answer = getattr(self, name.removeprefix("guest").replace("-", "_"))
        return answer(**{key.replace("-", "_"): value for key, value in arguments.items()})

    def _sync_delimited(self, id: int) -> int:  # noqa: A002 - the protocol's name
        return id

    def _exec(self, path: str, arg: list[str], input_data: str = "", **_: Any) -> dict[str, int]:
        command = [path, *arg]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        assert process.stdin is not None
        process.stdin.write(base64.b64decode(input_data))
        process.stdin.close()
        self._processes[process.pid] = process
        return {"pid": process.pid}

    def _exec_status(self, pid: int) -> dict[str, Any]:
        process = self._processes[pid]
        if process.poll() is None:
            return {"exited": False}
        del self._processes[pid]
        assert process.stdout is not None
        assert process.stderr is not None
        ended = {"exitcode": process.returncode} if process.returncode >= 0 else {"signal": -process.returncode}
        out, err = (base64.b64encode(pipe.read()).decode() for pipe in (process.stdout, process.stderr))
        return {"exited": True, **ended, "out-data": out, "err-data": err}

    def _file_open(self, path: str, mode: str) -> int:
        number = next(self._numbers)
        self._files[number] = Path(path).open(f"{mode}b")  # noqa: SIM115 - file_close closes it
        return number

    def _file_seek(self, handle: int, offset: int, whence: int) -> dict[str, int]:
        return {"position": self._files[handle].seek(offset, whence)}

    def _file_read(self, handle: int, count: int) -> dict[str, Any]:
        data = self._files[handle].read(count)
        return {"count": len(data), "buf-b64": base64.b64encode(data).decode()}

    def _file_close(self, handle: int) -> dict[str, int]:
        self._files.pop(handle).close()
        return {}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """Give the agent of the virtual machine `uk-gateway`. It keeps output below `tmp_path`/guest."""
    monkeypatch.setattr(settings, "RUN", tmp_path / "run")
    monkeypatch.setattr(Machine, "process", property(lambda _: object()))
    monkeypatch.setattr(execution, "_FOLDER", str(tmp_path / "guest"))
    (tmp_path / "guest").mkdir()
    # Only root may mount.
    for tool in ("mount", "umount"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    machine = Machine(id="i-1", name="uk-gateway", kind="virtual-machine", namespace="lab-vpc-1")
    machine.save()
    return Agent(machine.agent_socket)


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[tuple[Streams, Callable[[], tuple[bytes, bytes]]]]:
    """Give streams, and a function that returns what was written to them so far."""
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        yield Streams(stdout, stderr), lambda: (out.read_bytes(), err.read_bytes())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_output_is_forwarded_while_the_command_runs(agent: Agent, printed: Any, tmp_path: Path) -> None:
    streams, so_far = printed
    go_on = tmp_path / "go-on"
    script = f"echo first; echo bad >&2; until [ -e {go_on} ]; do sleep 0.02; done; cat; exit 7"
    results: list[Any] = []
    arguments: dict[str, Any] = {"stdin": b"in\x00\xff", "streams": streams}
    thread = threading.Thread(
        target=lambda: results.append(machines.execute("uk-gateway", ["sh", "-c", script], **arguments))
    )
    thread.start()
    until(lambda: so_far() == (b"first\n", b"bad\n"))
    go_on.touch()
    thread.join()
    assert [(result.returncode, result.stdout, result.stderr) for result in results] == [(7, b"", b"")]
    assert so_far() == (b"first\nin\x00\xff", b"bad\n")
    until(lambda: list((tmp_path / "guest").iterdir()) == [])


def test_long_output_is_forwarded_completely(agent: Agent, printed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_FORWARDED_BYTES", 1000)
    streams, so_far = printed
    machines.execute("uk-gateway", ["seq", "10000"], streams=streams)
    assert so_far()[0].split() == [str(number).encode() for number in range(1, 10001)]


def test_a_killed_command_and_a_missing_one_have_the_exit_codes_of_a_shell(agent: Agent, printed: Any) -> None:
    streams, so_far = printed
    assert machines.execute("uk-gateway", ["sh", "-c", "kill -KILL $$"], streams=streams).returncode == -9
    assert machines.execute("uk-gateway", ["no-such-command"], streams=streams).returncode == 127
    assert b"no-such-command" in so_far()[1]


def test_at_the_timeout_all_processes_are_killed_and_the_output_is_kept(
    agent: Agent, printed: Any, tmp_path: Path
) -> None:
    streams, so_far = printed
    script = "echo begun; sleep 4321 & echo $!; wait"
    with pytest.raises(subprocess.TimeoutExpired):
        machines.execute("uk-gateway", ["sh", "-c", script], timeout=3.0, streams=streams)
    begun, child = so_far()[0].split()
    assert begun == b"begun"
    until(lambda: not _is_alive(int(child)))
    until(lambda: list((tmp_path / "guest").iterdir()) == [])


def test_without_streams_the_output_so_far_is_in_the_exception(agent: Agent) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        machines.execute("uk-gateway", ["sh", "-c", "echo begun; exec sleep 4321"], timeout=3.0)
    assert caught.value.output == b"begun\n"
    result = machines.execute("uk-gateway", ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.returncode, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("outcome", "code", "message"),
    [
        (subprocess.CompletedProcess([], 7), 7, ""),
        (subprocess.CompletedProcess([], -9), 137, ""),
        (
            subprocess.TimeoutExpired([], 5),
            124,
            "lab: ping on uk-gateway did not end within 5 s and was killed; allow more with --timeout\n",
        ),
        (
            LookupError("there is no machine 'uk-gateway'; there are: none"),
            1,
            "lab: there is no machine 'uk-gateway'; ",
        ),
        (machines.ChannelError("PID 7 does not exist"), 1, "lab: PID 7 does not exist\n"),
    ],
)
def test_lab_exec_has_the_exit_code_of_the_command(
    monkeypatch: pytest.MonkeyPatch, outcome: Any, code: int, message: str
) -> None:
    def run(host: str, command: list[str], *, timeout: float, streams: Streams) -> Any:
        assert (host, command, timeout) == ("uk-gateway", ["ping", "-c", "1"], 5.0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(hosts, "run", run)
    result = CliRunner().invoke(cli.app, ["exec", "--timeout", "5", "uk-gateway", "ping", "-c", "1"])
    assert result.exit_code == code
    assert result.stderr.startswith(message)


def test_lab_exec_prints_the_output_before_the_timeout(tmp_path: Path) -> None:
    """Run `lab exec` as a user does, on the host `internet`, with a stand-in for `ip netns exec`."""
    tool = tmp_path / "ip"
    tool.write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    tool.chmod(0o755)
    result = subprocess.run(
        [sys.executable, "-c", "from lab.cli import app; app()", "exec", "--timeout", "3", "internet", "sh", "-c",
         "echo begun; echo bad >&2; exec sleep 4321"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=settings.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (124, "begun\n")
    assert result.stderr == (
        "bad\nlab: sh on internet did not end within 3 s and was killed; allow more with --timeout\n"
    )
