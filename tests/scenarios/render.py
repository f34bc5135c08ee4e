"""Draw the picture of a finished run again: `python -m tests.scenarios.render REPORT.json PICTURE.svg`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.scenarios.outages import Outage
from tests.scenarios.report import Expectation, Flow, Result, picture


def results(report: str) -> Sequence[Result]:
    """Return the results in the text of a report.json."""
    return [_result(case) for case in json.loads(report)["cases"]]


def _result(case: Mapping[str, Any]) -> Result:
    # A result judges itself, so its failures are no argument.
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in case.items()}
    del fields["failures"]
    fields["expectation"] = Expectation(**case["expectation"])
    fields["flows"] = tuple(_flow(flow) for flow in case["flows"])
    return Result(**fields)


def _flow(flow: Mapping[str, Any]) -> Flow:
    return Flow(**{**flow, "outages": tuple(Outage(**outage) for outage in flow["outages"])})


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(picture(results(source.read_text(encoding="utf-8"))), encoding="utf-8")
