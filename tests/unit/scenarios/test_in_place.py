"""The copy of the program with which a scenario changes the running pair."""

from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from lab import stack
from tests.scenarios.in_place import Program


class _Engine:
    """Stands in for `pulumi`: each `up` ends with `code`."""

    code = 0

    def __call__(self, arguments: Any, **_options: Any) -> CompletedProcess[str]:
        return CompletedProcess(arguments, self.code, "", "")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> _Engine:
    engine = _Engine()
    monkeypatch.setattr(stack, "pulumi", engine)
    return engine


@pytest.mark.usefixtures("engine")
def test_a_change_is_left_until_the_checkouts_program_is_applied_again(tmp_path: Path) -> None:
    program = Program(tmp_path / "program")
    program.up()
    assert not program.leaves_changes
    program.configure(postquantum=False)
    program.up()
    assert program.leaves_changes
    program.reset()
    assert program.leaves_changes
    program.up()
    assert not program.leaves_changes


def test_a_change_that_fails_is_left_until_the_checkouts_program_is_applied(tmp_path: Path, engine: _Engine) -> None:
    program = Program(tmp_path / "program")
    program.edit("components/decisions/tunnel.py", "TUNNEL_MTU: Final = 1400", "TUNNEL_MTU: Final = 1380")
    engine.code = 1
    program.red_up()
    program.reset()
    program.red_up()
    assert program.leaves_changes
    engine.code = 0
    program.up()
    assert not program.leaves_changes
