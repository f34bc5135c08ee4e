"""Generated documents: a test compares them, and `make generated` writes them."""

import difflib
import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
WRITE: Final = bool(os.environ.get("WRITE_DOCUMENTS"))


def require_document(path: str, text: str) -> None:
    """Fail unless the file at `path` in the checkout has exactly `text`. With WRITE_DOCUMENTS, write it first."""
    file = ROOT / path
    if WRITE:
        file.write_text(text)
    present = file.read_text() if file.exists() else ""
    diff = "\n".join(difflib.unified_diff(present.splitlines(), text.splitlines(), path, "generated", lineterm="", n=0))
    assert present == text, f"{path} is out of date; read the difference, then run `make generated`:\n{diff}"


def require_section(path: str, name: str, text: str) -> None:
    """Do the same as `require_document` for the text between the lines `<!-- NAME -->` and `<!-- /NAME -->`."""
    before, _, after = _parts(path, name)
    require_document(path, f"{before}\n{text}\n{after}")


def section(path: str, name: str) -> str:
    """Return the text between the lines `<!-- NAME -->` and `<!-- /NAME -->` of a document."""
    return _parts(path, name)[1]


def _parts(path: str, name: str) -> tuple[str, str, str]:
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, opened, rest = (ROOT / path).read_text().partition(opening)
    text, closed, after = rest.partition(closing)
    assert opened, f"{path} has no line {opening.strip()}"
    assert closed, f"{path} has no line {closing.strip()}"
    return before + opening, text, closing + after
