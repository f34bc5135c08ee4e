"""Commands and files on a machine: here this one, as the user who runs the test."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.scenarios.gateway import Machine, StepError


class Here(Machine):
    """The machine that runs the test."""

    name = "here"

    def execute(self, command: Sequence[str], *, stdin: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)


def test_a_script_that_fails_raises_with_its_machine_and_output() -> None:
    with pytest.raises(StepError, match="here: 'echo why; false; true' exits with 1: why"):
        Here().run("echo why; false; true")
    assert Here().ask("exit 3").returncode == 3
    assert Here().run("cat", stdin="text\n") == "text\n"


def test_a_new_file_is_for_its_owner_alone_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    new, old = tmp_path / "a new file", tmp_path / "old"
    old.touch(mode=0o644)
    for path in (new, old):
        Here().write(str(path), "text\n")
        assert Here().read(str(path)) == "text\n"
    assert [path.stat().st_mode & 0o777 for path in (new, old)] == [0o600, 0o644]
