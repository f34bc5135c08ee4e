"""A kernel loses the SAs of one direction, and the daemon does not know."""

from tests.scenarios import ipsec
from tests.scenarios.gateway import StepError
from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "The kernel of uk's gateway loses an SA. vpn-watch has to notice it, because the daemon does not."
EXPECTATION = Expectation(limit_seconds=30, healed_by="vpn-watch")
VARIANTS = (
    Variant(name="sa-lost-out", title="uk's kernel loses the SA towards au", seconds=1),
    Variant(name="sa-lost-in", title="uk's kernel loses the SA from au", seconds=1),
)


def steps(pair: Pair, variant: Variant) -> Steps:
    gateway, direction = pair.uk.gateway, variant.name.removeprefix("sa-lost-")
    states = ipsec.security_associations(gateway)[direction]
    if not states:
        raise StepError(f"{gateway.name} has no ESP state {direction} to delete")
    deletions = [f"ip xfrm state delete src {source} dst {to} proto esp spi {spi}" for source, to, spi in states]
    gateway.run("; ".join(deletions))
    yield
