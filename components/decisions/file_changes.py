"""Pure decisions about what a preview shows of a change to a gateway's files."""

from collections.abc import Sequence
from difflib import unified_diff
from typing import Final

FileText = tuple[str, int, str]
"""Path, mode and text of a file."""

MOST_LINES: Final = 20
"""Changed lines of one file that are shown. Of a longer change, only their number is shown."""

_SECRETS: Final = "/etc/vpn-gateway/secrets.json"


def change_text(before: Sequence[FileText], after: Sequence[FileText]) -> str:
    """Return the files that differ, each with its changed lines; never a line of the file of secrets."""
    old, new = ({path: (mode, text) for path, mode, text in files} for files in (before, after))
    return "\n".join(
        _file_text(path, old.get(path), new.get(path))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def _file_text(path: str, old: tuple[int, str] | None, new: tuple[int, str] | None) -> str:
    if old is None or new is None:
        return f"  {path}: {'new' if old is None else 'removed'}"
    if path == _SECRETS:
        return f"  {path}: other secrets"
    lines = list(unified_diff(old[1].splitlines(), new[1].splitlines(), lineterm="", n=0))[2:]
    changed = [line for line in lines if not line.startswith("@@")]
    if len(changed) > MOST_LINES:
        added = sum(line.startswith("+") for line in changed)
        return f"  {path}: {added} lines added, {len(changed) - added} removed"
    mode = [f"mode {old[0]:o} -> {new[0]:o}"] if old[0] != new[0] else []
    return "\n".join([f"  {path}:", *(f"    {line}" for line in [*mode, *changed])])
