"""What a command printed: kept for its outputs, shown line by line while it runs, quoted when it fails."""

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
    """A command failed; the text is the plugin's, with command and output."""


class Transcript:
    """Both streams of one command, apart and in the order of arrival."""

    def __init__(self, logging: str | None, log: Logger) -> None:
        self._shown = _SHOWN[logging]
        self._log = log
        self._streams: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self._everything = bytearray()
        self._unfinished_line = bytearray()

    def write(self, stream: Stream, data: bytes) -> None:
        """Add what came; whole lines of a stream that `logging` names are shown at once."""
        self._streams[stream] += data
        self._everything += data
        if stream in self._shown:
            *lines, rest = (bytes(self._unfinished_line) + data).split(b"\n")
            for line in lines:
                self._show(line)
            self._unfinished_line = bytearray(rest)

    def close(self) -> None:
        """Show a last line that has no newline."""
        if self._unfinished_line:
            self._show(bytes(self._unfinished_line))
        self._unfinished_line.clear()

    def outputs(self) -> dict[str, Any]:
        """Return the output properties: each stream without one newline at its end."""
        return {name: _text(data).removesuffix("\n") for name, data in self._streams.items()}

    def failure(self, reason: str, command: str) -> str:
        """Return the plugin's error text: the whole command and everything it printed, whatever `logging` says."""
        return f"{reason}: running {quote(command)}:\n{_text(self._everything)}"

    def _show(self, line: bytes) -> None:
        self._log("info", _text(line).removesuffix("\r"))


def quote(text: str) -> str:
    """Return `text` in double quotes, escaped as Go's `%q` does (https://pkg.go.dev/fmt, https://pkg.go.dev/strconv#Quote)."""
    return '"' + "".join(_ESCAPES.get(each) or _printable(each) for each in text) + '"'


def previous_outputs(properties: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that hand a former run's `outputs` on to the next one.

    Empty outputs are not handed on, nor is anything when the input `addPreviousOutputInEnv` is false.
    """
    if properties.get("addPreviousOutputInEnv") is False:
        return {}
    former = {"PULUMI_COMMAND_STDOUT": outputs.get("stdout"), "PULUMI_COMMAND_STDERR": outputs.get("stderr")}
    return {name: value for name, value in former.items() if value}


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _text(data: bytes | bytearray) -> str:
    return bytes(data).decode(errors="replace")
