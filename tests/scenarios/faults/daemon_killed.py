"""The IKE daemon dies."""

from tests.scenarios.scenario import ONLY_AU_SENDS, Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "The IKE daemon of uk's gateway is killed. It has to start again and negotiate a new tunnel."
EXPECTATION = Expectation(limit_seconds=10, goal="daemon", healed_by="systemd, then vpn-watch")
VARIANTS = (
    Variant(name="daemon-killed", title="uk's IKE daemon is killed with SIGKILL", seconds=0, brief=True),
    Variant(
        name="quiet-daemon-killed",
        title="uk's IKE daemon is killed with SIGKILL, and only au sends",
        seconds=0,
        senders=ONLY_AU_SENDS,
    ),
)


def steps(pair: Pair, _variant: Variant) -> Steps:
    # The fault is the kill. The new start of the daemon is part of healing.
    pair.uk.gateway.run("kill -9 $(pidof pluto)")
    yield
