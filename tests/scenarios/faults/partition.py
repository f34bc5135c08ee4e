"""The Internet between the two sites fails for a while."""

import time

from lab import network_faults
from tests.scenarios.scenario import ONLY_AU_SENDS, Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "The Internet carries nothing between the two sites. When it works again, the tunnel does, too."
EXPECTATION = Expectation(limit_seconds=5, goal="partition", healed_by="the daemons and vpn-watch")
VARIANTS = (
    Variant(
        name="partition-20s",
        title="the Internet between the two sites carries nothing for twenty seconds",
        seconds=20,
        brief=True,
    ),
    Variant(name="partition-60s", title="the Internet between the two sites carries nothing for a minute", seconds=60),
    Variant(
        name="quiet-partition",
        title="the Internet carries nothing for a minute, and only au sends",
        seconds=60,
        senders=ONLY_AU_SENDS,
    ),
    Variant(
        name="partition-10min", title="the Internet between the two sites carries nothing for ten minutes", seconds=600
    ),
)


def steps(_pair: Pair, variant: Variant) -> Steps:
    network_faults.inject("partition")
    try:
        time.sleep(variant.seconds)
    finally:
        network_faults.heal()
    yield
