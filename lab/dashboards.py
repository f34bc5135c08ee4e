"""Draws CloudWatch's dashboards from the lab's own data: `lab dashboard`."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.api.client import client
from lab.observe import regions

COLUMN, ROW, GAP, TOP, LEGEND = 50, 26, 6, 30, 22
"""Sizes of the picture: of a column and a row of the dashboard, between widgets, and inside a widget."""

WELL = {"TunnelUp": 1, "LayersFailed": 0}
"""Metric -> its value when all is well. Another last value is drawn in red."""

Point = tuple[datetime, float]
Values = Callable[["Metric"], Sequence[Point]]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One line of a widget."""

    region: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str
    period: int
    """Seconds."""
    label: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A drawn line."""

    label: str
    points: str
    """As the attribute `points` of a polyline has them."""
    last: str
    is_bad: bool


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A drawn widget; all sizes are those of the picture."""

    x: int
    y: int
    width: int
    height: int
    title: str
    is_number: bool
    lines: Sequence[Line]
    lowest: str
    highest: str


def metrics(widget: Mapping[str, Any]) -> list[Metric]:
    """Return the metrics of a widget (CloudWatch API reference, "Dashboard body structure and syntax")."""
    properties = widget["properties"]
    found = []
    for entry in properties["metrics"]:
        options = entry[-1] if isinstance(entry[-1], dict) else {}
        namespace, name, *pairs = [each for each in entry if not isinstance(each, dict)]
        found.append(
            Metric(
                region=properties["region"],
                namespace=namespace,
                name=name,
                dimensions=dict(zip(pairs[::2], pairs[1::2], strict=True)),
                statistic=options.get("stat", properties["stat"]),
                period=options.get("period", properties["period"]),
                label=options.get("label", name),
            )
        )
    return found


def panels(body: Mapping[str, Any], values: Values, begin: datetime, end: datetime) -> list[Panel]:
    """Return each widget with its lines between two times. `values` returns the data of a metric."""
    return [_panel(widget, values, begin, end) for widget in body["widgets"]]


def _panel(widget: Mapping[str, Any], values: Values, begin: datetime, end: datetime) -> Panel:
    width, height = widget["width"] * COLUMN - GAP, widget["height"] * ROW - GAP
    data = [(metric, sorted(values(metric))) for metric in metrics(widget)]
    bounds = widget["properties"].get("yAxis", {}).get("left", {})
    every = [value for _, points in data for _, value in points]
    lowest = min([bounds.get("min", min(every, default=0)), *every])
    highest = max([bounds.get("max", lowest), *every])
    tall, wide = height - TOP - LEGEND, width - 2 * GAP

    def place(at: datetime, value: float) -> str:
        x = GAP + wide * ((at - begin) / (end - begin))
        y = TOP + tall * (1 - (value - lowest) / ((highest - lowest) or 1))
        return f"{x:.1f},{y:.1f}"

    lines = [
        Line(
            label=metric.label,
            points=" ".join(place(*point) for point in points),
            last=f"{points[-1][1]:.4g}" if points else "no data",
            is_bad=bool(points) and points[-1][1] != WELL.get(metric.name, points[-1][1]),
        )
        for metric, points in data
    ]
    return Panel(
        x=widget["x"] * COLUMN,
        y=widget["y"] * ROW,
        width=width,
        height=height,
        title=widget["properties"]["title"],
        is_number=widget["properties"]["view"] == "singleValue",
        lines=lines,
        lowest=f"{lowest:.4g}",
        highest=f"{highest:.4g}",
    )


def draw(name: str, drawn: Sequence[Panel], begin: datetime, end: datetime) -> str:
    """Return the picture of a dashboard."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, autoescape=True, trim_blocks=True
    )
    bottom = max(panel.y + panel.height for panel in drawn)
    times = f"{begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    return environment.get_template("dashboard.svg.j2").render(name=name, panels=drawn, bottom=bottom, times=times)


def pictures(minutes: int) -> dict[str, str]:
    """Return name -> picture of each dashboard of the account, with the data of the last minutes."""
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    begin = end - timedelta(minutes=minutes)

    def values(metric: Metric) -> list[Point]:
        answer = client("cloudwatch", metric.region).get_metric_statistics(
            Namespace=metric.namespace,
            MetricName=metric.name,
            Dimensions=[{"Name": key, "Value": value} for key, value in metric.dimensions.items()],
            StartTime=begin,
            EndTime=end,
            Period=metric.period,
            Statistics=[metric.statistic],
        )
        return [(each["Timestamp"], each[metric.statistic]) for each in answer["Datapoints"]]

    found = {}
    for region in sorted(regions()):
        api = client("cloudwatch", region)
        for entry in api.list_dashboards()["DashboardEntries"]:
            body = json.loads(api.get_dashboard(DashboardName=entry["DashboardName"])["DashboardBody"])
            drawn = panels(body, values, begin, end)
            found[entry["DashboardName"]] = draw(entry["DashboardName"], drawn, begin, end)
    return found
