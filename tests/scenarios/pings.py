"""Pings from one gateway to the other through their tunnel, each of which has to be answered."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.scenarios.gateway import Machine, wait_until

NEGOTIATION_SECONDS: Final = 120.0
"""An emulated gateway needs seconds for it, and begins when its first boot ends."""


def carries(machine: Machine, source: str, target: str) -> bool:
    """Return whether a ping of the machine, from one of its addresses, is answered."""
    return not machine.ask(f"ping -c 1 -W 1 -I {source} {target}").returncode


@contextmanager
def no_lost_ping(machine: Machine, source: str, target: str) -> Iterator[None]:
    """Ping an address during the block, five times a second; each ping has to be answered."""
    wait_until(f"{target} answers {source}", lambda: carries(machine, source, target), NEGOTIATION_SECONDS)
    ping = f"ping -i 0.2 -I {source} {target}"
    machine.run(f"systemd-run --quiet --collect --unit=pings --property=StandardOutput=truncate:/run/pings {ping}")
    try:
        yield
    finally:
        machine.run("systemctl kill --signal=INT pings; while systemctl is-active --quiet pings; do sleep 0.2; done")
    printed = machine.read("/run/pings")
    print(printed.splitlines()[-2])
    answered = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=", printed)]
    assert len(answered) > 50
    # The last one may have been on its way.
    assert answered == list(range(1, len(answered) + 1))
