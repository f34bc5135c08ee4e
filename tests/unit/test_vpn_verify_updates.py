"""The layer `updates` of vpn-verify: what it tells, and when it fails."""

import calendar
import json
import re
from typing import Any

import pytest

from components.user_data import update_files
from vpn_updates import main as vpn_updates_main
from vpn_updates.decide import HELD, UPGRADE, Decision
from vpn_verify.layer import FinalError
from vpn_verify.updates import PLAN, RECORD, STAMP, UPGRADER, updates, window

FILES = {file.path: file.text for file in update_files("02:00")}
NOW = float(calendar.timegm((2026, 11, 30, 12, 0, 0)))
NIGHT = NOW - 10 * 3600
WELL = {UPGRADER: 1.0, PLAN: NOW - 30 * 86400, STAMP: NIGHT}


def look(written: dict[str, float], record: str = "", pending: str = "") -> str:
    return window(FILES[PLAN], record, modified=lambda path: written.get(path, 0.0), now=NOW, pending=lambda: pending)


def recorded(tmp_path: Any, decisions: dict[str, Decision]) -> str:
    """Return the file that vpn-updates writes."""
    (tmp_path / RECORD.lstrip("/")).parent.mkdir(parents=True)
    for kind, decision in decisions.items():
        vpn_updates_main.record(kind, decision, tmp_path)
    return str((tmp_path / RECORD.lstrip("/")).read_text())


def test_the_window_the_last_run_and_what_is_pending_are_told() -> None:
    assert look(WELL, pending="restart of ssh") == (
        "02:00 to 04:00 UTC, last run 2026-11-30 02:00, pending: restart of ssh"
    )


def test_a_gateway_that_has_just_got_its_window_has_time_for_its_first_run() -> None:
    assert look({UPGRADER: 1.0, PLAN: NOW - 60}) == "02:00 to 04:00 UTC, no run yet"


def test_what_was_held_back_is_told_with_its_reason(tmp_path: Any) -> None:
    record = recorded(tmp_path, {"upgrade": Decision(HELD, "no answer"), "restart": Decision("nothing")})
    assert re.search(r"upgrade held back \d{4}-\d\d-\d\d \d\d:\d\d: no answer$", look(WELL, record))
    assert "restart" not in look(WELL, record)


def test_a_later_decision_takes_the_place_of_one_of_its_kind_only(tmp_path: Any) -> None:
    recorded(tmp_path, {"upgrade": Decision(HELD, "no answer"), "restart": Decision(HELD, "locked")})
    vpn_updates_main.record("upgrade", Decision(UPGRADE), tmp_path)
    record = (tmp_path / RECORD.lstrip("/")).read_text()
    assert {kind: each["action"] for kind, each in json.loads(record).items()} == {"upgrade": UPGRADE, "restart": HELD}


@pytest.mark.parametrize("record", ["", "{", "[]", '{"upgrade": 1}', '{"upgrade": {}}'])
def test_a_record_that_cannot_be_read_hides_nothing_else(record: str) -> None:
    assert look(WELL, record) == "02:00 to 04:00 UTC, last run 2026-11-30 02:00"


@pytest.mark.parametrize("last", [{}, {STAMP: NOW - 4 * 86400}])
def test_no_run_for_days_is_told_with_what_was_held_back(last: dict[str, float], tmp_path: Any) -> None:
    record = recorded(tmp_path, {"upgrade": Decision(HELD, "no answer")})
    evidence = look({UPGRADER: 1.0, PLAN: NOW - 4 * 86400, **last}, record)
    assert re.search(r"(no run yet|last run 2026-11-26 12:00), overdue for 3 days, upgrade held", evidence)


def test_an_image_without_unattended_upgrades_fails_at_once_with_the_remedy() -> None:
    with pytest.raises(FinalError) as error:
        look({PLAN: NOW})
    assert error.value.args == ("unattended-upgrades is not installed", "sudo apt-get install unattended-upgrades")


def test_a_daemon_that_is_too_old_is_named_before_a_window_without_effect() -> None:
    def old() -> str:
        raise FinalError("too old")

    with pytest.raises(FinalError, match="too old"):
        updates(old, lambda: look({PLAN: NOW}))
    assert updates(lambda: "Libreswan", lambda: look(WELL)) == f"Libreswan, {look(WELL)}"
    assert (updates(lambda: "Libreswan", None), updates(None, lambda: "02:00")) == ("Libreswan", "02:00")
