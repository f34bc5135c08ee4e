"""SAs are rekeyed before their time."""

import time

from tests.scenarios import ipsec
from tests.scenarios.gateway import Gateway, wait_until
from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "Each gateway in turn rekeys its Child SA and its IKE SA. Only the protocol's own gap may be seen."
EXPECTATION = Expectation(limit_seconds=0, lossless=True, hiccup_seconds=0.25, healed_by="the daemons")
"""RFC 7296, 2.8: a responder may send by a new Child SA at once, as Libreswan does. The initiator cannot take that
before it has done its arithmetic: milliseconds on a processor, a tenth of a second on an emulated one.
"""
VARIANTS = (
    Variant(name="rekeyed", title="IKE and Child SAs are rekeyed by each side in turn", seconds=15, brief=True),
)


def steps(pair: Pair, _variant: Variant) -> Steps:
    for gateway in pair.gateways:
        before = outbound(gateway)
        ipsec.rekey(gateway, "child")
        wait_for_another(gateway, before)
        time.sleep(3)
        ipsec.rekey(gateway, "ike")
        time.sleep(3)
    yield


def outbound(gateway: Gateway) -> set[tuple[str, str, str]]:
    return set(ipsec.security_associations(gateway)["out"])


def wait_for_another(gateway: Gateway, before: set[tuple[str, str, str]]) -> None:
    wait_until(f"a new Child SA on {gateway.name}", lambda: not outbound(gateway) <= before, 30)
