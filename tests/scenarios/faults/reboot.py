"""Gateways are rebooted through the API."""

from tests.scenarios.scenario import ONLY_AU_SENDS, Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "One gateway or both are rebooted. After the bare boot the tunnel has to come up by itself."
EXPECTATION = Expectation(limit_seconds=15, goal="bare boot + 15 s", healed_by="the boot, then vpn-watch")
VARIANTS = (
    Variant(name="reboot-uk", title="uk's gateway is rebooted", seconds=90, at=("uk",), is_down=True),
    Variant(name="reboot-au", title="au's gateway is rebooted", seconds=90, at=("au",), is_down=True),
    Variant(name="reboot-both", title="both gateways are rebooted at once", seconds=90, at=("uk", "au"), is_down=True),
    Variant(
        name="quiet-reboot",
        title="uk's gateway is rebooted, and only au sends",
        seconds=90,
        at=("uk",),
        is_down=True,
        senders=ONLY_AU_SENDS,
    ),
)


def steps(pair: Pair, variant: Variant) -> Steps:
    gateways = [pair.site(name).gateway for name in variant.at]
    for gateway in gateways:
        gateway.request_reboot()
    for gateway in gateways:
        gateway.wait_until_down()
    for gateway in gateways:
        gateway.wait_until_booted()
    yield
