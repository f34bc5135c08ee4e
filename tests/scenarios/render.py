"""Show a finished run in docs/: `python -m tests.scenarios.render [REPORT.json]`.

Writes docs/lost-traffic.svg and the tables of faults and of changes in place in docs/guarantees.md.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.generated import ROOT
from tests.scenarios.outages import Outage
from tests.scenarios.report import FOLDER, Flow, Result, cells, picture
from tests.scenarios.scenario import Expectation

PICTURE = ROOT / "docs/lost-traffic.svg"
DOCUMENT = ROOT / "docs/guarantees.md"
HEAD = """| fault | goal, after the fault's end | lost uk->au | lost au->uk | healed after its end | result |
|---|---|---|---|---|---|"""
CHANGES_HEAD = """| change | goal | lost uk->au | lost au->uk | `pulumi up` took | result |
|---|---|---|---|---|---|"""


def results(report: str) -> Sequence[Result]:
    """Return the results in the text of a report.json."""
    return [_result(case) for case in json.loads(report)["cases"]]


def _result(case: Mapping[str, Any]) -> Result:
    # A result judges itself, so its failures are no argument.
    names = [field.name for field in fields(Result) if field.init and field.name in case]
    values: dict[str, Any] = {name: tuple(case[name]) if isinstance(case[name], list) else case[name] for name in names}
    values["expectation"] = Expectation(**case["expectation"])
    values["flows"] = tuple(_flow(flow) for flow in case["flows"])
    return Result(**values)


def _flow(flow: Mapping[str, Any]) -> Flow:
    return Flow(**{**flow, "outages": tuple(Outage(**outage) for outage in flow["outages"])})


def is_change(result: Result) -> bool:
    """Return whether a result is that of a change in place."""
    return result.name.startswith("in-place-")


def table(run: Sequence[Result]) -> str:
    """Return the picture and the table of the faults of a run as Markdown."""
    lines = [_day(run), "", f"![Lost traffic over time, for each fault]({PICTURE.name})", "", HEAD]
    for result in run:
        row = cells(result)
        shown = result.title, row["goal"], row["lost uk->au"], row["au->uk"], row["after its end"], row["verdict"]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def table_of_changes(run: Sequence[Result]) -> str:
    """Return the table of the changes of a run as Markdown."""
    lines = [_day(run), "", CHANGES_HEAD]
    for result in run:
        row = cells(result)
        shown = result.title, row["goal"], row["lost uk->au"], row["au->uk"], f"{result.cause_seconds:.0f} s"
        lines.append(f"| {' | '.join((*shown, row['verdict']))} |")
    return "\n".join(lines)


def _day(run: Sequence[Result]) -> str:
    return f"Run of {time.strftime('%Y-%m-%d', time.gmtime(min(result.began for result in run)))}:"


def _write(section: str, text: str) -> None:
    before, opening, rest = DOCUMENT.read_text(encoding="utf-8").partition(f"<!-- {section} -->\n")
    _, closing, after = rest.partition(f"<!-- /{section} -->\n")
    DOCUMENT.write_text(f"{before}{opening}\n{text}\n\n{closing}{after}", encoding="utf-8")


def main(report: Path) -> None:
    """Write the picture and the tables of a report.json; a run of only faults or only changes leaves the others."""
    run = results(report.read_text(encoding="utf-8"))
    changes = [result for result in run if is_change(result)]
    faults = [result for result in run if not is_change(result) and result.name != "first-boot"]
    if faults:
        faults = [result for result in run if not is_change(result)]
        _write("faults", table(faults))
        PICTURE.write_text(picture(faults), encoding="utf-8")
    if changes:
        _write("in-place", table_of_changes(changes))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "report.json")
