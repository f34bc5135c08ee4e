"""A gateway loses its Elastic IP for a while."""

import time

from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "uk's Elastic IP is taken away and given back. The tunnel has to carry packets again."
EXPECTATION = Expectation(limit_seconds=30, healed_by="the daemons and vpn-watch")
VARIANTS = (
    Variant(
        name="address-moved",
        title="uk's Elastic IP is taken away for twenty seconds and given back",
        seconds=20,
        at=("uk",),
        is_down=True,
    ),
)


def steps(pair: Pair, _variant: Variant) -> Steps:
    pair.uk.gateway.take_address()
    try:
        time.sleep(20)
    finally:
        pair.uk.gateway.give_address()
    yield
