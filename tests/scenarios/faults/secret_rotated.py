"""The pre-shared key is changed by hand."""

import re
import time

from tests.scenarios import ipsec
from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = (
    "An administrator changes the pre-shared key on uk, negotiates in vain, then changes it on au. "
    "Once both have the new key, a tunnel has to come up."
)
EXPECTATION = Expectation(limit_seconds=30, healed_by="the daemons and vpn-watch")
VARIANTS = (
    Variant(
        name="secret-rotated",
        title="the pre-shared key is changed by hand, first on uk, then on au",
        seconds=18,
    ),
)

NEW_PSK = "a-secret-that-was-changed-by-hand-0123456789"


def steps(pair: Pair, _variant: Variant) -> Steps:
    for gateway in pair.gateways:
        gateway.run(f"cp -p {gateway.secrets_file} /root/psk.before")
    try:
        text = re.sub('PSK "[^"]+"', f'PSK "{NEW_PSK}"', pair.uk.gateway.read(pair.uk.gateway.secrets_file))
        for gateway in pair.gateways:
            gateway.run(
                f"umask 077; cat >/root/psk.new; mv /root/psk.new {gateway.secrets_file}; ipsec whack --rereadsecrets",
                stdin=text,
            )
            # The present SAs would live for hours: negotiate, because only that needs the new key.
            gateway.run(f"ipsec whack --rekey-ike --name {gateway.connection} || true")
            gateway.run(f"ipsec whack --terminate --name {gateway.connection}; {ipsec.initiate(gateway)}")
            time.sleep(8)
        yield
    finally:
        for gateway in pair.gateways:
            gateway.run(f"mv /root/psk.before {gateway.secrets_file}; ipsec whack --rereadsecrets")
