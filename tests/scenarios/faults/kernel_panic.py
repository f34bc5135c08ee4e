"""The kernel of a gateway crashes."""

from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "The kernel of uk's gateway panics. It has to start again by itself, and the tunnel with it."
EXPECTATION = Expectation(limit_seconds=15, goal="bare boot + 15 s", healed_by="the kernel, the boot, then vpn-watch")
VARIANTS = (
    Variant(
        name="kernel-panic",
        title="the kernel of uk's gateway crashes",
        seconds=90,
        at=("uk",),
        is_down=True,
        brief=True,
    ),
)


def steps(pair: Pair, _variant: Variant) -> Steps:
    gateway = pair.uk.gateway
    # The lab's file system has no journal, and what is not on the disk by now might damage it.
    gateway.run("setsid sh -c 'sync; sleep 0.5; echo c >/proc/sysrq-trigger' >/dev/null 2>&1 &")
    gateway.wait_until_down()
    gateway.wait_until_booted()
    yield
