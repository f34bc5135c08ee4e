"""Measures the commands that people wait for: `make times` writes the table in docs/architecture.md.

`python -m benchmarks.times ROW... [--runs N]` measures single rows. With `--busy` it keeps one core busy meanwhile and
writes nothing. benchmarks/times.json has the measured seconds. It needs the lab for itself. A cold row runs in a new
clone with empty caches of Go and Python; installed Debian packages stay installed.

Where the machine is virtual, each line of progress says how much of the processors other machines took (steal in
proc_stat(5)), because a row takes longer then.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from lab import environment, settings
from lab.progress import phase, say

RESULTS: Final = Path(__file__).with_name("times.json")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One command of the table."""

    title: str
    before: float
    """Seconds at commit 063e78f."""
    goal: float
    """Seconds."""
    command: Sequence[str]
    prepare: Sequence[Sequence[str]] = ()
    """Commands before each run, not measured."""
    cold: bool = False
    """Run in a new clone with empty caches."""


_LAB: Final = ("make", "lab")
_DOWN: Final = ("make", "lab-down")
_BUILD: Final = (".venv/bin/lab", "prepare")
_PREVIEW: Final = ("pulumi", "preview", "--stack", "lab", "--non-interactive", "--expect-no-changes")

ROWS: Final[Mapping[str, Row]] = {
    "preview": Row(
        title="`pulumi preview` of the lab's stack", before=7, goal=3, prepare=(_LAB, _PREVIEW), command=_PREVIEW
    ),
    "lab-again": Row(title="`make lab` when the stack is up", before=45, goal=20, prepare=(_LAB,), command=_LAB),
    "lab-built": Row(
        title="`make lab`, engine and image built", before=240, goal=195, prepare=(_BUILD, _DOWN), command=_LAB
    ),
    "lab-cold": Row(title="`make lab` with nothing built", before=441, goal=390, command=_LAB, cold=True),
    "unit": Row(title="`make test-unit`", before=240, goal=75, command=("make", "test-unit")),
    "test": Row(title="`make test` after `make lab`", before=3300, goal=900, prepare=(_LAB,), command=("make", "test")),
    "test-cold": Row(
        title="`make test` with nothing built", before=3600, goal=1320, command=("make", "test"), cold=True
    ),
}


def measure(row: Row) -> float:
    """Return the seconds of one run. Exits with the command's last lines when it fails."""
    with place(row) as (folder, variables):
        for command in row.prepare:
            _run(command, folder, variables)
        began = time.monotonic()
        _run(row.command, folder, variables)
        seconds = time.monotonic() - began
        if row.cold:
            _run(_DOWN, folder, variables)
    return seconds


@contextmanager
def place(row: Row) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield the folder and the environment in which a row runs."""
    variables = environment.variables()
    if not row.cold:
        yield settings.ROOT, variables
        return
    # Only one lab at a time can be up.
    _run(_DOWN, settings.ROOT, variables)
    with tempfile.TemporaryDirectory(prefix="lab-times-") as name:
        folder = Path(name, "checkout")
        subprocess.run(["git", "clone", "--quiet", str(settings.ROOT), str(folder)], check=True)
        caches = {"GOPATH": "go", "GOCACHE": "go-build", "UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}
        # Without -modcacherw, Go's modules are read-only, and their folder cannot be deleted.
        own = {variable: f"{name}/{place}" for variable, place in caches.items()} | {"GOFLAGS": "-modcacherw"}
        try:
            yield folder, {**os.environ, **own}
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def busy() -> Iterator[None]:
    """Keep one core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        try:
            yield
        finally:
            spinning.kill()


def table(results: Mapping[str, Sequence[float]]) -> str:
    """Return the table of docs/architecture.md: the median of the measured seconds, and the number of runs."""
    lines = ["| command | at 063e78f | goal | now | runs |", "|---|---|---|---|---|"]
    for name, row in ROWS.items():
        seconds = results.get(name, ())
        now = _duration(statistics.median(seconds)) if seconds else "not measured"
        lines.append(f"| {row.title} | {_duration(row.before)} | {_duration(row.goal)} | {now} | {len(seconds)} |")
    return "\n".join([*lines, ""])


def results() -> dict[str, list[float]]:
    """Return the measured seconds: row -> seconds of each run."""
    measured: dict[str, list[float]] = json.loads(RESULTS.read_text())
    return measured


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 20 else f"{int(seconds + 0.5) // 60}:{int(seconds + 0.5) % 60:02} min"


def _run(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit("\n".join([f"{' '.join(command)} exits with {done.returncode}:", *done.stdout.splitlines()[-40:]]))


def _measure_all(names: Sequence[str], runs: int, measured: dict[str, list[float]]) -> None:
    """Measure all rows once, then all again: a row finds most of its preparation done, and a disturbance hits few."""
    for number in range(1, runs + 1):
        for name in names:
            began, stolen = time.monotonic(), _stolen()
            with phase(f"{ROWS[name].title}, run {number} of {runs}"):
                measured.setdefault(name, []).append(round(measure(ROWS[name]), 1))
            share = (_stolen() - stolen) / (time.monotonic() - began)
            say(f"{name}: {measured[name][-1]} s; other machines took {share:.0%} of the processors")


def _stolen() -> float:
    """Return the seconds since boot in which other virtual machines had this one's processors, per processor."""
    return statistics.mean(processor.steal for processor in psutil.cpu_times(percpu=True))


def main() -> None:
    """Measure the rows that the command line names, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.times", description="Measures commands.")
    parser.add_argument("row", nargs="*", choices=[*ROWS, []], help="default: all")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--busy", action="store_true", help="keep one core busy; write nothing")
    arguments = parser.parse_args()
    names = arguments.row or list(ROWS)

    if arguments.busy:
        with busy():
            _measure_all(names, arguments.runs, {})
        return
    # Written at the end, because a row runs the test that compares the document with the results.
    measured: dict[str, list[float]] = {}
    try:
        _measure_all(names, arguments.runs, measured)
    finally:
        RESULTS.write_text(json.dumps({**results(), **measured}, indent=2) + "\n")


if __name__ == "__main__":
    main()
