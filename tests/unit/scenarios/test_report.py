"""The verdict on a scenario, the table and the picture."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.scenarios import render, report
from tests.scenarios.outages import Outage
from tests.scenarios.report import Flow, Result
from tests.scenarios.scenario import Expectation

UNTIMED = Expectation(limit_seconds=10, lossless=True).untimed()
SVG = "{http://www.w3.org/2000/svg}"


def flow(way: str = "uk->au", **changes: Any) -> Flow:
    fine = Flow(
        way=way,
        outages=(Outage(start=1.0, seconds=2.0, packets=50),),
        sent=400,
        lost_seconds=2.0,
        healed_after=3.0,
        first_after=2.5,
        is_steady=True,
    )
    return replace(fine, **changes)


def result(**changes: Any) -> Result:
    fields: dict[str, Any] = {
        "name": "daemon-killed",
        "title": "the daemon is killed",
        "expectation": Expectation(limit_seconds=10, goal="daemon"),
        "began": 1000.0,
        "cause_seconds": 4.0,
        "seconds": 20.0,
        "flows": (flow(), flow("au->uk")),
        "leaks": (),
        "captured": 1000,
        "dropped": 0,
    }
    return Result(**{**fields, **changes})


def test_a_scenario_that_keeps_its_goal_holds() -> None:
    assert result().failures == ()


def test_without_limits_traffic_must_still_flow_and_nothing_leak() -> None:
    assert result(expectation=UNTIMED, flows=(flow(healed_after=1000.0),)).failures == ()
    assert "has not healed" in str(result(expectation=UNTIMED, flows=(flow(is_steady=False),)).failures)
    assert "leaked" in str(result(expectation=UNTIMED, leaks=("a packet",)).failures)
    assert "reported, not judged" in report.table([result(expectation=UNTIMED)])


def test_without_limits_traffic_must_still_flow_before_pulumi_up_ends() -> None:
    ends = Expectation(limit_seconds=0, before_end=True, goal="before pulumi up ends")
    boot, hiccup = Outage(start=0.0, seconds=3.5, packets=87), Outage(start=3.8, seconds=0.7, packets=17)
    boots = (flow(outages=(boot, hiccup), healed_after=0.5),)
    assert result(expectation=ends.untimed(), flows=boots).failures == ()
    assert result(expectation=ends, flows=boots).failures == (
        "uk->au: healed after 0.5 s, not <= 0 s (before pulumi up ends)",
    )
    late = (flow(outages=(replace(boot, seconds=4.5),), healed_after=0.5),)
    assert result(expectation=ends.untimed(), flows=late).failures == (
        "uk->au: flowed again 0.5 s after the cause ended, not before pulumi up ends",
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"flows": (flow(healed_after=10.1),)}, "uk->au: healed after 10.1 s, not <= 10 s (daemon)"),
        ({"flows": (flow(is_steady=False),)}, "uk->au: has not healed 16.0 s after the cause ended"),
        ({"flows": (flow(sent=0, outages=()),)}, "uk->au: nothing was sent"),
        (
            {"expectation": Expectation(limit_seconds=9, lossless=True)},
            "uk->au: 50 packets lost in 2.00 s, but no loss is",
        ),
        ({"leaks": ("+1.0 s plain", "+2.0 s plain")}, "2 packets leaked, the first: +1.0 s plain"),
        ({"captured": 0}, "the captures saw nothing at all"),
        ({"dropped": 3}, "the captures missed 3 packets"),
        ({"probes_lost": ("uk +1.0 s",)}, "1 Internet requests lost, the first: uk +1.0 s"),
    ],
)
def test_each_broken_promise_is_a_failure(changes: dict[str, Any], words: str) -> None:
    assert result(**changes).failures[0].startswith(words)


def test_a_hiccup_is_no_failure_and_anything_longer_is_one() -> None:
    wanted = Expectation(limit_seconds=0, lossless=True, hiccup_seconds=0.25)
    short, long = Outage(start=1, seconds=0.12, packets=3), Outage(start=9, seconds=0.28, packets=7)
    assert result(expectation=wanted, flows=(flow(outages=(short, short)),)).failures == ()
    (failure,) = result(expectation=wanted, flows=(flow(outages=(short, long)),)).failures
    assert failure == "uk->au: 7 packets lost in 0.28 s, but no loss > 0.25 s is allowed"


def test_the_table_has_a_row_per_scenario_and_a_line_per_failure() -> None:
    cases = [result(), result(name="reboot", flows=(flow("au->uk"),), leaks=("+1.0 s plain",))]
    heading, _, killed, reboot, failure = report.table(cases).splitlines()
    assert heading.split()[:4] == ["scenario", "lost", "uk->au", "au->uk"]
    assert killed.split()[:9] == ["daemon-killed", "2.0", "s", "2.0", "s", "3.0", "s", "2.5", "s"]
    assert killed.endswith("<= 10 s (daemon)  holds")
    assert reboot.split()[:4] == ["reboot", "quiet", "2.0", "s"]
    assert reboot.endswith("FAILS")
    assert failure == "reboot: 1 packets leaked, the first: +1.0 s plain"


def test_the_picture_shows_each_outage_as_a_red_bar_on_one_axis_of_time() -> None:
    drawn = report.picture([result(), result(title="a & b", seconds=200.0)])
    root = ElementTree.fromstring(drawn)  # noqa: S314 - our own text
    red = [bar for bar in root.iter(f"{SVG}rect") if bar.get("fill") == "#b3261e" and bar.get("height") == "10"]
    assert len(red) == 4
    assert len({(bar.get("x"), bar.get("width")) for bar in red}) == 1
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "a & b" in texts
    assert texts.count("2.0 s") == 4


def test_the_picture_says_which_direction_sends_nothing() -> None:
    drawn = report.picture([result(flows=(flow("au->uk"),))])
    assert drawn.index("uk \N{RIGHTWARDS ARROW} au") < drawn.index("sends nothing") < drawn.index("2.0 s")


def test_the_picture_of_a_finished_run_is_drawn_again_from_its_report(tmp_path: Path) -> None:
    results = [result(expectation=UNTIMED), result(leaks=("plain",), flows=(flow(is_steady=False),))]
    report.write(results, tmp_path)
    again = render.results((tmp_path / "report.json").read_text())
    assert again == results
    assert report.picture(again) == (tmp_path / "report.svg").read_text()


def test_a_finished_run_is_shown_in_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "guarantees.md"
    document.write_text("before\n<!-- faults -->\nearlier run\n<!-- /faults -->\nafter\n")
    monkeypatch.setattr(render, "DOCUMENT", document)
    monkeypatch.setattr(render, "PICTURE", tmp_path / "lost-traffic.svg")
    report.write([result()], tmp_path)
    render.main(tmp_path / "report.json")
    written = document.read_text()
    assert "| the daemon is killed | <= 10 s (daemon) | 2.0 s | 2.0 s | 3.0 s | holds |\n" in written
    assert written.startswith("before\n<!-- faults -->\n\nRun of 1970-01-01:")
    assert written.endswith("\n<!-- /faults -->\nafter\n")
    assert "earlier run" not in written
    assert (tmp_path / "lost-traffic.svg").read_text() == report.picture([result()])


def test_a_run_of_changes_in_place_has_its_own_table_and_leaves_that_of_the_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "guarantees.md"
    document.write_text("<!-- faults -->\nearlier run\n<!-- /faults -->\n<!-- in-place -->\nold\n<!-- /in-place -->\n")
    monkeypatch.setattr(render, "DOCUMENT", document)
    monkeypatch.setattr(render, "PICTURE", tmp_path / "lost-traffic.svg")
    report.write([result(name="first-boot"), result(name="in-place-psk")], tmp_path)
    render.main(tmp_path / "report.json")
    written = document.read_text()
    assert written.startswith("<!-- faults -->\nearlier run\n<!-- /faults -->\n<!-- in-place -->\n\nRun of ")
    assert written.count("| the daemon is killed |") == 1
    assert not (tmp_path / "lost-traffic.svg").exists()


def test_the_report_is_written_as_json_text_and_picture(tmp_path: Path) -> None:
    report.write([result(), result(leaks=("plain",))], tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["holds"] is False
    assert [bool(case["failures"]) for case in document["cases"]] == [False, True]
    assert document["cases"][0]["flows"][0]["outages"] == [{"start": 1.0, "seconds": 2.0, "packets": 50}]
    assert (tmp_path / "report.txt").read_text() == report.table([result(), result(leaks=("plain",))])
    assert (tmp_path / "report.svg").exists()
