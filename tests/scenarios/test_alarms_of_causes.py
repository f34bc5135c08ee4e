"""The causes of the diagnosis table that raise alarms: which ones, and how soon they begin and end.

Proves that each cause which a gateway sees raises exactly its alarms in the promised time, and that they end in it
after the healing. A gateway that can publish nothing raises the alarm of its tunnel some minutes later. Does not prove
how soon AWS evaluates. Single causes: `pytest tests/scenarios/test_alarms_of_causes.py -k forwarding`.
"""

from datetime import UTC, datetime

import pytest

from tests.scenarios.alarms import DOWN, WITHOUT_DATA, raised, raised_since, wait
from tests.scenarios.diagnosis.cause import Cause
from tests.scenarios.diagnosis.causes import CAUSES
from tests.scenarios.in_place import Program
from tests.scenarios.sites import Pair

pytestmark = pytest.mark.timeout(1800)


def of_side(name: str, side: str) -> bool:
    """Return whether an alarm is one of this side's gateway."""
    return name.startswith(f"vpn-{side}-")


@pytest.mark.parametrize(
    "cause", [cause for cause in CAUSES if cause.alarms or cause.silent], ids=lambda cause: cause.name
)
def test_a_cause_raises_exactly_its_alarms_and_they_end_after_it(cause: Cause, monitored: Program, pair: Pair) -> None:
    late = {name for name in DOWN for side in cause.silent if of_side(name, side)}
    wait(f"{cause.name}: no alarm is on before it", lambda: raised() == set())
    began = datetime.now(UTC)
    with cause.broken(pair):
        wait(f"{cause.name}: its alarms begin", lambda: cause.alarms <= raised())
        if late:
            wait(f"{cause.name}: those without data begin", lambda: late <= raised(), WITHOUT_DATA)
    # A gateway that was stopped greets again by now.
    wait(f"{cause.name}: all alarms end", lambda: raised() == set())
    # The last minute that a silent side has published may have raised others there.
    seen = {name for name in raised_since(began) if not any(of_side(name, side) for side in cause.silent)}
    assert seen == cause.alarms
