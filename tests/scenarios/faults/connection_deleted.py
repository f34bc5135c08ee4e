"""A connection is deleted from the daemon and added again."""

import time

from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "The daemon of uk's gateway loses its connection for ten seconds. A new tunnel has to be negotiated."
EXPECTATION = Expectation(limit_seconds=10, goal="daemon", healed_by="the daemon and vpn-watch")
VARIANTS = (
    Variant(
        name="connection-deleted", title="uk's connection is deleted and added again ten seconds later", seconds=10
    ),
)

ADD_CONNECTION = "/usr/libexec/ipsec/addconn --config /etc/ipsec.conf"
"""Reads a connection, in every version: 5.x has no `ipsec auto --add`, 4.x has no `ipsec add`."""


def steps(pair: Pair, _variant: Variant) -> Steps:
    gateway = pair.uk.gateway
    gateway.run(f"ipsec whack --delete --name {gateway.connection}")
    time.sleep(10)
    # What the daemon does when it starts: read the connection and trap its traffic.
    gateway.run(f"{ADD_CONNECTION} {gateway.connection}; ipsec whack --route --name {gateway.connection}")
    yield
