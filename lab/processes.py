"""Background processes, which are recorded so that later commands can find and end them.

A record is a JSON file in `settings.RUN/processes`. It includes the start time of the process, so that another process
that has the same pid later is never signalled.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from lab import settings

_RECORDS = settings.RUN / "processes"


@dataclass(frozen=True)
class Record:
    """The record of a started process."""

    name: str
    pid: int
    start_ticks: int
    """Start time in clock ticks since boot (proc_pid_stat(5), starttime), which setting the clock does not change."""


def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    namespace: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Record:
    """Start `command` in its own session, in `namespace` if that is set, and append its output to `log`.

    Raises ValueError when a process with this name is already running.
    """
    if find(name) is not None:
        raise ValueError(f"process {name!r} is already running; stop it first")
    log.parent.mkdir(parents=True, exist_ok=True)
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment} if environment else None,
            start_new_session=True,
        )
    record = Record(name, child.pid, _start_ticks(child.pid))
    _RECORDS.mkdir(parents=True, exist_ok=True)
    _path(name).write_text(json.dumps(asdict(record)))
    return record


def find(name: str) -> psutil.Process | None:
    """Return the running process with this name, or None."""
    try:
        record = Record(**json.loads(_path(name).read_text()))
        process = psutil.Process(record.pid)
        alive = _start_ticks(record.pid) == record.start_ticks and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return None
    return process if alive else None


def stop(name: str, *, timeout: float = 5.0) -> None:
    """End the process with this name, if any, and its descendants: SIGTERM, after `timeout` seconds SIGKILL."""
    process = find(name)
    if process is not None:
        family = [process, *process.children(recursive=True)]
        for member in family:
            _signal(member, kill=False)
        _, alive = psutil.wait_procs(family, timeout=timeout)
        for member in alive:
            _signal(member, kill=True)
        psutil.wait_procs(alive, timeout=timeout)
    _path(name).unlink(missing_ok=True)


def names(prefix: str = "") -> list[str]:
    """Return the names of all recorded processes that start with `prefix`, running or not."""
    return sorted(path.stem for path in _RECORDS.glob("*.json") if path.stem.startswith(prefix))


def _start_ticks(pid: int) -> int:
    # Not psutil's create_time(), which changes when the wall clock is set.
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19])


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill() if kill else process.terminate()


def _path(name: str) -> Path:
    return _RECORDS / f"{name}.json"
