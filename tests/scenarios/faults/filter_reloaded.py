"""The packet filter is reloaded."""

import time

from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "The packet filter of uk's gateway is reloaded five times. No packet may be lost."
EXPECTATION = Expectation(limit_seconds=0, lossless=True)
VARIANTS = (Variant(name="filter-reloaded", title="uk's packet filter is reloaded five times", seconds=3),)


def steps(pair: Pair, _variant: Variant) -> Steps:
    for number in range(5):
        time.sleep(0.5 if number else 0)
        pair.uk.gateway.run("systemctl reload vpn-filter")
    yield
