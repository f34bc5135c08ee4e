"""Every fault: nothing leaks, the Internet stays reachable, and traffic flows again by itself, in time."""

from dataclasses import replace

import pytest

from tests.scenarios import runner, scenario
from tests.scenarios.conftest import record
from tests.scenarios.report import Result
from tests.scenarios.scenario import Scenario
from tests.scenarios.stream import Stream

pytestmark = pytest.mark.timeout(3600)


@pytest.mark.brief
def test_nothing_leaks_while_the_gateways_boot_for_the_first_time(first_boot: Result | None) -> None:
    if first_boot is None:
        pytest.skip("the stack was up already (LAB_KEEP)")
    assert first_boot.failures == ()


@pytest.mark.parametrize(
    "fault",
    [pytest.param(one, id=one.name, marks=[pytest.mark.brief] * one.brief) for one in scenario.load()],
)
def test_nothing_leaks_and_traffic_flows_again(
    fault: Scenario, judged_by_time: bool, stream: Stream, results: list[Result]
) -> None:
    result = runner.run(fault if judged_by_time else replace(fault, expectation=fault.expectation.untimed()), stream)
    record(result, results)
    assert result.failures == ()
