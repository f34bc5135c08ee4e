"""Both sides negotiate at the same moment."""

from tests.scenarios import ipsec
from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "Both daemons negotiate although the tunnel is up. The new SAs may not disturb the present ones."
EXPECTATION = Expectation(limit_seconds=5, healed_by="the daemons")
VARIANTS = (Variant(name="sa-duplicated", title="both sides negotiate a second time at the same moment", seconds=1),)


def steps(pair: Pair, _variant: Variant) -> Steps:
    for gateway in pair.gateways:
        gateway.run(ipsec.initiate(gateway))
    yield
