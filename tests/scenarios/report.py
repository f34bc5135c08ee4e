"""The results of the scenarios: the verdict, the table, the JSON and the picture. Pure but for `write`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import log1p
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lab import settings
from tests.scenarios.outages import Outage, healed_after, longest
from tests.scenarios.scenario import Expectation

FOLDER: Final = settings.STATE / "faults"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One direction of the stream during one scenario; all times in seconds."""

    way: str
    """E.g. `uk->au`."""
    outages: tuple[Outage, ...]
    """Their starts count from the beginning of the fault."""
    sent: int
    lost_seconds: float
    healed_after: float
    """From the end of the fault to the end of the last outage."""
    first_after: float | None
    """From the end of the fault to the first packet that arrived after it; None if none did."""
    is_steady: bool
    """Whether the last seconds lost nothing."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One scenario; all times in seconds."""

    name: str
    title: str
    expectation: Expectation
    began: float
    """Since the epoch: when the fault began."""
    cause_seconds: float
    seconds: float
    """From the beginning of the fault to the end of the scenario."""
    flows: tuple[Flow, ...]
    leaks: tuple[str, ...]
    captured: int
    """Packets seen by the captures."""
    dropped: int
    """Packets that the captures could not see."""
    probes_lost: tuple[str, ...] = ()
    """Internet requests that failed although their gateway was not down."""
    failures: tuple[str, ...] = field(init=False)
    """What does not hold; empty when everything does."""

    def __post_init__(self) -> None:
        """Judge."""
        object.__setattr__(self, "failures", tuple(_failures(self)))


def _failures(result: Result) -> list[str]:
    failures = []
    wanted = result.expectation
    for flow in result.flows:
        if not flow.sent:
            failures.append(f"{flow.way}: nothing was sent, so nothing is proved")
        elif not flow.is_steady:
            failures.append(
                f"{flow.way}: has not healed {result.seconds - result.cause_seconds:.1f} s after the cause ended"
            )
        elif wanted.lossless:
            outages = [outage for outage in flow.outages if outage.seconds > wanted.hiccup_seconds]
            if outages:
                packets, seconds = sum(one.packets for one in outages), sum(one.seconds for one in outages)
                failures.append(f"{flow.way}: {packets} packets lost in {seconds:.2f} s, but {wanted} is allowed")
        elif wanted.before_end and (late := healed_after(longest(flow.outages), result.cause_seconds)):
            failures.append(f"{flow.way}: flowed again {late:.1f} s after the cause ended, not {wanted}")
        elif flow.healed_after > wanted.limit_seconds:
            failures.append(f"{flow.way}: healed after {flow.healed_after:.1f} s, not {wanted}")
    if result.leaks:
        failures.append(f"{len(result.leaks)} packets leaked, the first: {result.leaks[0]}")
    if not result.captured:
        failures.append("the captures saw nothing at all, so nothing is proved")
    if result.dropped:
        failures.append(f"the captures missed {result.dropped} packets, so nothing is proved")
    if result.probes_lost:
        failures.append(f"{len(result.probes_lost)} Internet requests lost, the first: {result.probes_lost[0]}")
    return failures


HEADINGS: Final = ("scenario", "lost uk->au", "au->uk", "after its end", "first", "leaks", "goal", "verdict")


def table(results: Sequence[Result]) -> str:
    """Return the table for people: seconds of lost traffic each way, seconds after the fault's end, leaks, verdict."""
    rows = [HEADINGS, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    for result in results:
        lines += [f"{result.name}: {failure}" for failure in result.failures]
    return "\n".join(lines) + "\n"


def cells(result: Result) -> dict[str, str]:
    """Return the cells of a scenario's row by their headings."""
    return dict(zip(HEADINGS, _row(result), strict=True))


def _row(result: Result) -> tuple[str, ...]:
    by_way = {flow.way: flow for flow in result.flows}
    lost = [f"{by_way[way].lost_seconds:.1f} s" if way in by_way else "quiet" for way in ("uk->au", "au->uk")]
    healed = max((flow.healed_after for flow in result.flows), default=0.0)
    arrivals = [flow.first_after for flow in result.flows]
    first = max((arrival for arrival in arrivals if arrival is not None), default=None)
    return (
        result.name,
        *lost,
        f"{healed:.1f} s" if all(flow.is_steady for flow in result.flows) else "never",
        "none" if first is None or None in arrivals else f"{first:.1f} s",
        str(len(result.leaks)),
        str(result.expectation),
        "FAILS" if result.failures else "holds",
    )


_WAYS: Final = ("uk->au", "au->uk")
_TICKS: Final = (0, 1, 2, 5, 10, 20, 60, 120, 300, 600, 1200)
# Sizes in units of the SVG's view box.
_LEFT, _WIDTH, _TOP, _ROW = 80, 830, 110, 54


def picture(results: Sequence[Result]) -> str:
    """Return an SVG with a row per scenario and a lane per direction: when packets arrived, and when they were lost."""
    # Outages last from a tenth of a second to ten minutes, so the axis is logarithmic.
    last = log1p(max((result.seconds for result in results), default=1.0))

    def x(seconds: float) -> float:
        return _LEFT + _WIDTH * log1p(max(seconds, 0.0)) / last

    def span(start: float, end: float) -> dict[str, float]:
        return {"x": x(start), "width": max(x(end) - x(start), 1.5)}

    def lane(result: Result, way: str) -> dict[str, object]:
        flow = next((each for each in result.flows if each.way == way), None)
        return {
            "way": way.replace("->", " \N{RIGHTWARDS ARROW} "),
            "sent": span(0, result.seconds) if flow else None,
            "lost": [span(outage.start, outage.end) for outage in flow.outages] if flow else [],
            "seconds": f"{flow.lost_seconds:.1f} s" if flow else "",
        }

    rows = [
        {
            "title": result.title,
            "fails": bool(result.failures),
            "y": _TOP + number * _ROW,
            "fault": span(0, result.cause_seconds),
            "lanes": [lane(result, way) for way in _WAYS],
        }
        for number, result in enumerate(results)
    ]
    ticks = [{"x": x(seconds), "label": seconds} for seconds in _TICKS if log1p(seconds) <= last]
    return _template().render(rows=rows, ticks=ticks, left=_LEFT, right=_LEFT + _WIDTH, height=_TOP + len(rows) * _ROW)


def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    return environment.get_template("report.svg.j2")


def write(results: Sequence[Result], folder: Path = FOLDER) -> None:
    """Write report.json, report.txt and report.svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "holds": not any(result.failures for result in results),
        "cases": [asdict(result) for result in results],
    }
    (folder / "report.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / "report.txt").write_text(table(results))
    (folder / "report.svg").write_text(picture(results))
