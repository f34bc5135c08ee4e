"""The table of results of the causes, as JSON and as text."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab import settings

PATH = settings.STATE / "faults" / "diagnosis.json"
_CELL = 46
_HEADER = ("cause", "uk says", "au says", "pulumi up shows", "look", "up", "well")


@dataclass(kw_only=True)
class Row:
    """The result of one cause."""

    cause: str
    uk: str = "-"
    """vpn-verify's diagnosis: `ok`, or layer and evidence; `-` where it cannot run."""
    au: str = "-"
    pulumi: str = "-"
    """The line of `pulumi up`'s error that names the cause; `-` where it was not run."""
    look_seconds: dict[str, float] = field(default_factory=dict)
    """Side -> seconds of one run of vpn-verify."""
    up_seconds: float | None = None
    well_seconds: float | None = None
    """From the restoration until both sides were well."""
    problems: list[str] = field(default_factory=list)
    """The differences from what was expected."""


class Table:
    """Rows in a file, by cause. A run of some causes replaces only their rows."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path

    def add(self, row: Row) -> None:
        """Write a row. It replaces an older one of the same cause."""
        kept = {each.cause: each for each in self.rows()} | {row.cause: row}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps([asdict(each) for each in kept.values()], indent=1) + "\n")
        self._path.with_suffix(".txt").write_text(text(kept.values()))

    def rows(self) -> list[Row]:
        """Return the rows in the file."""
        return [Row(**each) for each in json.loads(self._path.read_text())] if self._path.exists() else []


def text(rows: Iterable[Row]) -> str:
    """Return the table for people: a line for each cause, and its problems below it."""
    lines: list[tuple[Sequence[str], list[str]]] = [(_HEADER, [])]
    for row in rows:
        look = f"{max(row.look_seconds.values()):.1f}" if row.look_seconds else "-"
        seconds = (look, _seconds(row.up_seconds), _seconds(row.well_seconds))
        lines.append(([*map(_cut, (row.cause, row.uk, row.au, row.pulumi)), *seconds], row.problems))
    widths = [max(len(cells[place]) for cells, _ in lines) for place in range(len(_HEADER))]
    printed = []
    for cells, problems in lines:
        printed.append("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        printed += [f"    NOT as expected: {problem}" for problem in problems]
    return "".join(f"{line}\n" for line in printed)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _cut(cell: str) -> str:
    cell = " ".join(cell.split())
    return cell if len(cell) <= _CELL else f"{cell[: _CELL - 1]}…"
