"""The picture of a dashboard. Does not prove how CloudWatch draws it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from lab.dashboards import Metric, Point, draw, metrics, panels

BEGIN = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
END = BEGIN + timedelta(minutes=10)
DIMENSIONS = ["Gateway", "uk-gateway", "Tunnel", "uk-to-au"]


def widget(**properties: Any) -> dict[str, Any]:
    common = {"region": "eu-west-2", "period": 60, "stat": "Average", "view": "timeSeries", "title": "uk: loss"}
    shown = [["VpnGatewayPair", "LostEchoes", *DIMENSIONS, {"label": "uk-to-au"}], ["AWS/EC2", "NetworkIn"]]
    return {"x": 12, "y": 4, "width": 12, "height": 6, "properties": {**common, "metrics": shown, **properties}}


def values(metric: Metric) -> list[Point]:
    """Return data of one metric alone, the last first, as the API may."""
    return [] if metric.namespace == "AWS/EC2" else [(END, 50.0), (BEGIN, 0.0)]


def test_a_metric_has_the_widgets_statistic_and_period_unless_it_has_its_own() -> None:
    shown = [["AWS/EC2", "CPUCreditBalance", "InstanceId", "i-1", {"stat": "Maximum", "period": 300}]]
    (own,) = metrics(widget(metrics=shown))
    assert (own.statistic, own.period, own.label, own.dimensions) == (
        "Maximum",
        300,
        "CPUCreditBalance",
        {"InstanceId": "i-1"},
    )
    first, _ = metrics(widget())
    assert (first.region, first.statistic, first.period, first.label) == ("eu-west-2", "Average", 60, "uk-to-au")


def test_a_line_goes_from_the_left_bottom_to_the_right_top_of_its_widget() -> None:
    (panel,) = panels({"widgets": [widget()]}, values, BEGIN, END)
    assert (panel.x, panel.y, panel.width, panel.height) == (600, 104, 594, 150)
    assert [(line.points, line.last) for line in panel.lines] == [("6.0,128.0 588.0,30.0", "50"), ("", "no data")]
    assert (panel.lowest, panel.highest) == ("0", "50")


def test_the_axis_of_a_widget_bounds_its_values() -> None:
    (panel,) = panels({"widgets": [widget(yAxis={"left": {"min": 0, "max": 100}})]}, values, BEGIN, END)
    assert (panel.highest, panel.lines[0].points) == ("100", "6.0,128.0 588.0,79.0")


def test_the_picture_is_xml_with_titles_and_last_values() -> None:
    body = {"widgets": [widget(), widget(view="singleValue", title="uk: <up>")]}
    picture = draw("vpn-dashboard", panels(body, values, BEGIN, END), BEGIN, END)
    texts = {each.text for each in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")}  # noqa: S314 - our own
    assert {"vpn-dashboard", "uk: loss", "uk: <up>", "uk-to-au: 50", "NetworkIn: no data", "50"} <= texts


@pytest.mark.parametrize(
    ("name", "last", "is_bad"),
    [
        ("TunnelUp", 1, False),
        ("TunnelUp", 0, True),
        ("LayersFailed", 0, False),
        ("LayersFailed", 2, True),
        ("LostEchoes", 0, False),
    ],
)
def test_a_number_is_red_if_its_metric_says_that_something_is_wrong(name: str, last: float, is_bad: bool) -> None:
    shown = widget(view="singleValue", metrics=[["VpnGatewayPair", name]])
    drawn = panels({"widgets": [shown]}, lambda _: [(BEGIN, last)], BEGIN, END)
    assert drawn[0].lines[0].is_bad is is_bad
    assert ("#cf222e" in draw("vpn-dashboard", drawn, BEGIN, END)) is is_bad
