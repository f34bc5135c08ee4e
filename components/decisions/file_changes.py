"""Pure decisions about what a preview shows of a change to a gateway's files."""

from collections.abc import Sequence
from difflib import unified_diff
from typing import Final

from .files import File

MOST_LINES: Final = 20
"""Changed lines of one file that are shown. Of a longer change, only their number is shown."""

_SECRETS: Final = "/etc/vpn-gateway/secrets.json"


def change_text(before: Sequence[File], after: Sequence[File]) -> str:
    """Return the files that differ, each with its changed lines; never a line of the file of secrets."""
    old, new = ({file.path: file for file in files} for files in (before, after))
    return "\n".join(
        _file_text(path, old.get(path), new.get(path))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def _file_text(path: str, old: File | None, new: File | None) -> str:
    if old is None or new is None:
        return f"  {path}: {'new' if old is None else 'removed'}"
    if path == _SECRETS:
        return f"  {path}: other secrets"
    lines = list(unified_diff(old.text.splitlines(), new.text.splitlines(), lineterm="", n=0))[2:]
    changed = [line for line in lines if not line.startswith("@@")]
    if len(changed) > MOST_LINES:
        added = sum(line.startswith("+") for line in changed)
        return f"  {path}: {added} lines added, {len(changed) - added} removed"
    mode = [f"mode {old.mode:o} -> {new.mode:o}"] if old.mode != new.mode else []
    return "\n".join([f"  {path}:", *(f"    {line}" for line in [*mode, *changed])])
