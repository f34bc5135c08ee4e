"""Documents that are made from what was seen: compared by a test, written anew by `make generated`."""

import difflib
import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
WRITE: Final = bool(os.environ.get("WRITE_DOCUMENTS"))


def require_document(path: str, text: str) -> None:
    """Fail unless the file at `path` below the checkout is `text`; write it instead where that was asked for."""
    file = ROOT / path
    if WRITE:
        file.write_text(text)
    found = file.read_text() if file.exists() else ""
    differs = "\n".join(difflib.unified_diff(found.splitlines(), text.splitlines(), path, "seen now", lineterm="", n=0))
    assert found == text, f"{path} is not what was seen now; read, then write it anew by `make generated`:\n{differs}"


def require_section(path: str, name: str, text: str) -> None:
    """As `require_document`, for what is between the lines `<!-- NAME -->` and `<!-- /NAME -->` of a document."""
    before, _, after = _parts(path, name)
    require_document(path, f"{before}\n{text}\n{after}")


def section(path: str, name: str) -> str:
    """Return what is between the lines `<!-- NAME -->` and `<!-- /NAME -->` of a document."""
    return _parts(path, name)[1]


def _parts(path: str, name: str) -> tuple[str, str, str]:
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, opened, rest = (ROOT / path).read_text().partition(opening)
    text, closed, after = rest.partition(closing)
    assert opened, f"{path} has no line {opening.strip()}"
    assert closed, f"{path} has no line {closing.strip()}"
    return before + opening, text, closing + after
