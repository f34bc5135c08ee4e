"""`command.local.Command` without an engine, and the transcript of both kinds of command."""

import math
from pathlib import Path
from typing import Any

import pytest

from lab.resource_plugins.base import Call
from lab.resource_plugins.command import local
from lab.resource_plugins.command.transcript import CommandError, Transcript, previous_outputs, quote


def call(timeout: float = math.inf) -> Call:
    return Call("command:local:Command", "greet", None, timeout)


def create(inputs: dict[str, Any], timeout: float = math.inf) -> dict[str, Any]:
    created = local.COMMAND.create(call(timeout), inputs)
    assert isinstance(created, tuple)
    return created[1]


def test_a_local_command_gets_stdin_variables_and_a_folder(tmp_path: Path) -> None:
    inputs = {
        "create": 'cat; echo "$NAME"; pwd >&2',
        "stdin": "in\n",
        "environment": {"NAME": "x"},
        "dir": str(tmp_path),
    }
    assert create(inputs) == {"stdout": "in\nx", "stderr": str(tmp_path)}


def test_a_local_command_can_have_an_interpreter() -> None:
    inputs = {"create": "import sys; print(len(sys.argv))", "interpreter": ["python3", "-c"]}
    assert create(inputs)["stdout"] == "1"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"create": "echo out; exit 4"}, 'exit status 4: running "echo out; exit 4":\nout\n'),
        ({"create": "kill -9 $$"}, 'signal: killed: running "kill -9 $$":\n'),
        ({"create": "true", "dir": "/nowhere"}, '/nowhere: no such file or directory: running "true":\n'),
    ],
)
def test_a_local_failure_has_the_real_plugins_message(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        create(inputs)
    assert str(caught.value) == message


def test_a_local_command_is_killed_at_its_timeout() -> None:
    with pytest.raises(CommandError, match=r"^signal: killed"):
        create({"create": "exec sleep 30"}, timeout=0.3)


def test_complete_lines_are_shown_and_outputs_lose_one_newline() -> None:
    lines: list[str] = []
    transcript = Transcript(None, lambda _severity, line: lines.append(line))
    for part in (b"on", b"e\ntw", b"o\r\nlast\n\n"):
        transcript.write("stdout", part)
    transcript.write("stderr", b"unfinished")
    transcript.close()
    assert lines == ["one", "two", "last", "", "unfinished"]
    assert transcript.outputs() == {"stdout": "one\ntwo\r\nlast\n", "stderr": "unfinished"}


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('say "hi"\n', r'"say \"hi\"\n"'),
        ("a\\b\t", r'"a\\b\t"'),
        ("\x1b\x00", r'"\x1b\x00"'),
        ("ü\u200b", r'"ü\u200b"'),
    ],
)
def test_commands_are_quoted_as_in_go(text: str, quoted: str) -> None:
    assert quote(text) == quoted


def test_empty_previous_outputs_are_not_passed_on() -> None:
    assert previous_outputs({}, {"stdout": "a", "stderr": ""}) == {"PULUMI_COMMAND_STDOUT": "a"}
