"""The files of tests/scenarios/faults/ make a table that can be read without a run."""

import re
from collections import Counter

import pytest

from tests.scenarios import __main__ as table
from tests.scenarios import scenario
from tests.scenarios.diagnosis.causes import CAUSES
from tests.scenarios.scenario import Scenario

SCENARIOS = scenario.load()


def test_each_scenario_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(one.name for one in SCENARIOS).items() if times > 1] == []
    assert len(SCENARIOS) == 28


def test_make_test_runs_four_of_them_and_the_short_ones_come_first() -> None:
    assert {one.name for one in SCENARIOS if one.brief} == {
        "daemon-killed",
        "kernel-panic",
        "partition-20s",
        "rekeyed",
    }
    assert SCENARIOS[-1].name == "partition-10min"


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.name)
def test_a_description_is_two_sentences(one: Scenario) -> None:
    assert len(re.findall(r"\.( |$)", one.description)) == 2


def test_the_table_shows_every_scenario_and_every_cause_with_what_is_expected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table.main()
    shown = " ".join(capsys.readouterr().out.split())
    for one in SCENARIOS:
        assert f"{one.title} {one.description} lasts about {one.seconds:g} s; expected: {one.expectation}" in shown
    for cause in CAUSES:
        assert f"{cause.name}: {cause.description}" in shown
