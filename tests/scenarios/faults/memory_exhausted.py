"""A gateway runs out of memory."""

import re

from tests.scenarios import services
from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "A process takes all memory of uk's gateway. The kernel kills that one, and neither pluto nor vpn-watch."
EXPECTATION = Expectation(limit_seconds=10, goal="daemon", healed_by="the kernel")
VARIANTS = (Variant(name="memory-exhausted", title="a process takes all memory of uk's gateway", seconds=20),)

# systemd stops a unit when one of its processes is killed for its memory, so it is not a part of another one.
_TAKE = """systemd-run --quiet --wait --collect --unit=take-memory python3 -c 'taken = []
while True: taken.append(bytearray(1 << 20))'"""


def steps(pair: Pair, _variant: Variant) -> Steps:
    gateway = pair.uk.gateway
    before = services.main_processes(gateway)
    try:
        assert gateway.ask(_TAKE, timeout=120).returncode
    finally:
        gateway.ask("systemctl stop take-memory")
    assert re.search("oom-kill:.*task=python3", gateway.run("journalctl -k -b -o cat --since=-2min"))
    assert services.main_processes(gateway) == before, "a service was killed"
    yield
