"""Recording and ending of real processes."""

import json
import os
import sys
from pathlib import Path

import pytest

from lab import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(processes, "_RECORDS", tmp_path / "processes")
    return tmp_path / "processes"


def test_a_started_process_is_found_and_ended_by_name(tmp_path: Path) -> None:
    record = processes.start("sleeper", SLEEP, log=tmp_path / "log")
    process = processes.find("sleeper")
    assert process is not None
    assert process.pid == record.pid
    processes.stop("sleeper")
    assert processes.find("sleeper") is None
    assert processes.names() == []


def test_descendants_end_with_their_process(tmp_path: Path) -> None:
    script = f"import subprocess; print(subprocess.Popen({SLEEP!r}).pid, flush=True); import time; time.sleep(60)"
    processes.start("parent", [sys.executable, "-c", script], log=tmp_path / "log")
    while not (printed := (tmp_path / "log").read_text().strip()):
        pass
    processes.stop("parent")
    with pytest.raises(ProcessLookupError):
        os.kill(int(printed), 0)


def test_another_process_with_the_same_pid_is_not_ended(records: Path, tmp_path: Path) -> None:
    processes.start("sleeper", SLEEP, log=tmp_path / "log")
    child = processes.find("sleeper")
    assert child is not None
    path = records / "sleeper.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "start_ticks": record["start_ticks"] - 1}))
    assert processes.find("sleeper") is None
    processes.stop("sleeper")
    assert child.is_running()
    child.kill()


def test_a_process_is_found_after_the_clock_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    processes.start("sleeper", SLEEP, log=tmp_path / "log")
    with monkeypatch.context() as later:
        # The kernel's boot time is the clock minus the uptime, so it changes when the clock is set.
        later.setattr("psutil._pslinux.boot_time", lambda: 0.0)
        assert processes.find("sleeper") is not None
        processes.stop("sleeper")
    assert processes.find("sleeper") is None


def test_a_second_process_of_the_same_name_is_refused(tmp_path: Path) -> None:
    processes.start("sleeper", SLEEP, log=tmp_path / "log")
    with pytest.raises(ValueError, match="'sleeper' is already running"):
        processes.start("sleeper", SLEEP, log=tmp_path / "log")
    processes.stop("sleeper")


def test_ending_an_unknown_process_is_not_an_error() -> None:
    processes.stop("unknown")
