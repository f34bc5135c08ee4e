"""The modules of tests/scenarios that are programs: both ends of traffic, and the one that writes the documents."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab import settings

_PROGRAMS = [
    path.stem
    for path in sorted(Path(settings.ROOT, "tests", "scenarios").glob("*.py"))
    if path.stem != "__main__" and '__name__ == "__main__"' in path.read_text()
]


def test_the_programs_are_found_by_what_they_end_with() -> None:
    assert _PROGRAMS == ["crowd_endpoint", "endpoint", "render"]


@pytest.mark.parametrize("program", _PROGRAMS)
def test_a_program_imports_only_what_is_found_without_the_paths_of_pytest(program: str) -> None:
    command = [sys.executable, "-c", f"import tests.scenarios.{program}"]
    done = subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
