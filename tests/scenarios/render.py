"""Show a finished run in docs/: `python -m tests.scenarios.render [REPORT.json]`.

Writes docs/lost-traffic.svg and the table of faults in docs/guarantees.md.
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


def table(run: Sequence[Result]) -> str:
    """Return the picture and the table of a run as Markdown."""
    day = time.strftime("%Y-%m-%d", time.gmtime(min(result.began for result in run)))
    lines = [f"Run of {day}:", "", f"![Lost traffic over time, for each fault]({PICTURE.name})", "", HEAD]
    for result in run:
        row = cells(result)
        shown = result.title, row["goal"], row["lost uk->au"], row["au->uk"], row["after its end"], row["verdict"]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def main(report: Path) -> None:
    """Write the picture and the table of a report.json."""
    run = results(report.read_text(encoding="utf-8"))
    before, opening, rest = DOCUMENT.read_text(encoding="utf-8").partition("<!-- faults -->\n")
    _, closing, after = rest.partition("<!-- /faults -->\n")
    DOCUMENT.write_text(f"{before}{opening}\n{table(run)}\n\n{closing}{after}", encoding="utf-8")
    PICTURE.write_text(picture(run), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "report.json")
