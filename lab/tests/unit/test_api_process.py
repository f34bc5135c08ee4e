"""`python -m lab.api` as a process: it starts, answers, ends, and reports a busy port."""

import os
import signal
import socket
import subprocess
import sys
from typing import IO

import pytest

from lab import settings
from lab.tests.unit.api_stack import lab_path


def start(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lab.api", "--port", str(port)]
    return subprocess.Popen(command, cwd=settings.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def first_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_api_reports_that_it_is_ready_and_ends_on_sigterm(free_port: int) -> None:
    process = start(free_port)
    try:
        assert first_line(process.stdout) == f"AWS API on http://127.0.0.1:{free_port}\n"
        assert lab_path(f"http://127.0.0.1:{free_port}", "/_lab/calls") == []
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_busy_port_is_reported_in_one_line() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = int(listener.getsockname()[1])
        process = start(port)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors == f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port\n"
