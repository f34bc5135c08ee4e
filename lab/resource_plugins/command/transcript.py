"""The output of a command: kept for the resource's outputs, shown while it runs, and quoted when it fails."""

from collections.abc import Mapping
from typing import Any, Literal

from lab.resource_plugins.base.log import Logger

Stream = Literal["stdout", "stderr"]

LOGGING = ("none", "stdout", "stderr", "stdoutAndStderr")
"""The values of the input `logging`; absent means `stdoutAndStderr`."""

_SHOWN: Mapping[str | None, tuple[Stream, ...]] = {
    None: ("stdout", "stderr"),
    "stdoutAndStderr": ("stdout", "stderr"),
    "stdout": ("stdout",),
    "stderr": ("stderr",),
    "none": (),
}

_ESCAPES = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


class CommandError(Exception):
    """A command failed. The message is the real plugin's, with the command and its output."""


class Transcript:
    """Both streams of a command, separately and in the order of arrival."""

    def __init__(self, logging: str | None, log: Logger) -> None:
        self._shown = _SHOWN[logging]
        self._log = log
        self._streams: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._everything = bytearray()
        self._unfinished_line = bytearray()

    def write(self, stream: Stream, data: bytes) -> None:
        """Add output; show the complete lines of the streams that `logging` selects."""
        self._streams[stream] += data
        self._everything += data
        if stream in self._shown:
            *lines, rest = (bytes(self._unfinished_line) + data).split(b"\n")
            for line in lines:
                self._show(line)
            self._unfinished_line = bytearray(rest)

    def close(self) -> None:
        """Show the last line if it has no newline."""
        if self._unfinished_line:
            self._show(bytes(self._unfinished_line))
        self._unfinished_line.clear()

    def outputs(self) -> dict[str, Any]:
        """Return the output properties: each stream without a final newline."""
        return {name: _text(data).removesuffix("\n") for name, data in self._streams.items()}

    def failure(self, reason: str, command: str) -> str:
        """Return the real plugin's error message: the command and all of its output, regardless of `logging`."""
        return f"{reason}: running {quote(command)}:\n{_text(self._everything)}"

    def _show(self, line: bytes) -> None:
        self._log("info", _text(line).removesuffix("\r"))


def quote(text: str) -> str:
    """Return `text` in double quotes, escaped as Go's `%q` does (https://pkg.go.dev/fmt, https://pkg.go.dev/strconv#Quote)."""
    return '"' + "".join(_ESCAPES.get(each) or _printable(each) for each in text) + '"'


def previous_outputs(properties: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that pass the previous run's `outputs` to the next run.

    Empty outputs are not passed. Nothing is passed when the input `addPreviousOutputInEnv` is false.
    """
    if properties.get("addPreviousOutputInEnv") is False:
        return {}
    variables = {"PULUMI_COMMAND_STDOUT": outputs.get("stdout"), "PULUMI_COMMAND_STDERR": outputs.get("stderr")}
    return {name: value for name, value in variables.items() if value}


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _text(data: bytes | bytearray) -> str:
    return bytes(data).decode(errors="replace")
