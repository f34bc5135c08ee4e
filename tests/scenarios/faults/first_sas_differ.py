"""Negotiations cross, and the two sides end with different SAs (libreswan #2184)."""

from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = (
    "Both daemons start, and for five seconds au's kernel loses the SAs that uk sends by. "
    "This stands for crossing negotiations, which cannot be ordered; one side has to ask for other SAs."
)
EXPECTATION = Expectation(limit_seconds=30, healed_by="vpn-watch")
VARIANTS = (
    Variant(
        name="first-sas-differ",
        title="both daemons start, and au's kernel lacks the SAs that uk sends by first",
        seconds=20,
    ),
)


def steps(pair: Pair, _variant: Variant) -> Steps:
    for gateway in pair.gateways:
        gateway.run("systemctl stop vpn-watch ipsec")
    for gateway in pair.gateways:
        gateway.run("systemctl start --no-block ipsec vpn-watch")
    inbound = f"dst {pair.au.gateway.private_ip} proto esp"
    # Five seconds, in tenths.
    pair.au.gateway.run(
        f"until ip xfrm state list {inbound} | grep -q spi; do sleep 0.1; done;"
        f" for _ in $(seq 50); do ip xfrm state deleteall {inbound}; sleep 0.1; done"
    )
    yield
