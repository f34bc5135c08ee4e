"""Stand-ins forked by the warm server. Most tests in tests/engine start them in the same way, with the engine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.engine import warm, warm_client

SERVER = """
import sys; from pathlib import Path; from lab.engine import warm
warm._LAB, warm.MODULES = Path(sys.argv[2]), ("lab.resource_plugins.random",)
warm.serve(Path(sys.argv[1]))
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[psutil.Popen]:
    """Run a server for the stand-in for `random`. It watches a folder of the test for changed sources."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/one.py").touch()
    socket = tmp_path / "warm.sock"
    with psutil.Popen([sys.executable, "-c", SERVER, str(socket), str(tmp_path / "sources")]) as process:
        wait_for(socket.exists)
        yield process
        if process.is_running():
            process.kill()


def started(socket: Path | None, module: str = "lab.resource_plugins.random") -> "subprocess.Popen[str]":
    """Start a stand-in in the same way as a launcher."""
    inherited = {name: value for name, value in os.environ.items() if name != warm.VARIABLE}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", warm_client.__file__, module],
        env=inherited | ({warm.VARIABLE: str(socket)} if socket else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def port_of(process: "subprocess.Popen[str]") -> int:
    assert process.stdout
    return int(process.stdout.readline())


def test_a_stand_in_is_forked_prints_its_port_and_ends_with_the_launcher(server: psutil.Popen, tmp_path: Path) -> None:
    with started(tmp_path / "warm.sock") as launcher:
        assert port_of(launcher) > 0
        (forked,) = server.children()
        assert psutil.Process(launcher.pid).cmdline()[-1] == "lab.resource_plugins.random", (
            "the launcher runs the stand-in itself"
        )
        launcher.send_signal(signal.SIGINT)
        assert launcher.wait(10) == -signal.SIGINT
    wait_for(lambda: not forked.is_running())


def test_a_module_that_fails_ends_the_launcher_with_its_exit_code_and_message(
    server: psutil.Popen, tmp_path: Path
) -> None:
    with started(tmp_path / "warm.sock", "lab.resource_plugins.nothing") as launcher:
        _, errors = launcher.communicate(timeout=120)
    assert launcher.returncode == 1
    assert "lab.resource_plugins.nothing" in errors


@pytest.mark.parametrize("configured", [True, False], ids=["no listener", "no socket configured"])
def test_without_a_server_the_launcher_runs_the_stand_in_itself(tmp_path: Path, configured: bool) -> None:
    with started(tmp_path / "warm.sock" if configured else None) as launcher:
        assert port_of(launcher) > 0
        launcher.terminate()


def test_after_a_source_has_changed_the_server_ends_and_the_launcher_runs_the_stand_in_itself(
    server: psutil.Popen, tmp_path: Path
) -> None:
    (tmp_path / "sources/one.py").write_text("changed = True\n")
    with started(tmp_path / "warm.sock") as launcher:
        assert port_of(launcher) > 0
        assert server.wait(10) == 0
        launcher.terminate()
    assert not (tmp_path / "warm.sock").exists()
