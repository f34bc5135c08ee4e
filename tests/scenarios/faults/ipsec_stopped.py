"""An administrator stops IPsec and starts it again."""

import time

from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "ipsec on uk's gateway is stopped for ten seconds. Once it is started, a new tunnel has to be negotiated."
EXPECTATION = Expectation(limit_seconds=10, goal="daemon", healed_by="the daemon and vpn-watch")
VARIANTS = (Variant(name="ipsec-stopped", title="ipsec on uk is stopped for ten seconds and started", seconds=10),)


def steps(pair: Pair, _variant: Variant) -> Steps:
    pair.uk.gateway.run("systemctl stop ipsec")
    time.sleep(10)
    pair.uk.gateway.run("systemctl start ipsec")
    yield
