"""A gateway's instance is stopped and started through the API."""

import time

from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "au's instance is stopped and started. After the bare boot the tunnel has to come up by itself."
EXPECTATION = Expectation(limit_seconds=15, goal="bare boot + 15 s", healed_by="the boot, then vpn-watch")
VARIANTS = (
    Variant(
        name="peer-stopped",
        title="au's instance is stopped, and started fifteen seconds later",
        seconds=110,
        at=("au",),
        is_down=True,
    ),
)


def steps(pair: Pair, _variant: Variant) -> Steps:
    pair.au.gateway.stop_instance()
    time.sleep(15)
    pair.au.gateway.start_instance()
    yield
