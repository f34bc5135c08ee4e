"""An administrator restarts IPsec."""

from tests.scenarios.scenario import ONLY_UK_SENDS, Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "ipsec on one gateway is restarted. A new tunnel has to be negotiated."
EXPECTATION = Expectation(limit_seconds=10, goal="daemon", healed_by="the daemon and vpn-watch")
VARIANTS = (
    Variant(name="ipsec-restarted", title="ipsec on au is restarted", seconds=5, at=("au",)),
    Variant(
        name="quiet-ipsec-restarted",
        title="ipsec on uk is restarted, and only uk sends",
        seconds=5,
        at=("uk",),
        senders=ONLY_UK_SENDS,
    ),
)


def steps(pair: Pair, variant: Variant) -> Steps:
    for name in variant.at:
        pair.site(name).gateway.restart("ipsec")
    yield
