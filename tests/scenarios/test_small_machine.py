"""A gateway with little memory does everything at once: a full table of connections, apt, and vpn-verify.

Proves that the tunnel and the private hosts' way to the Internet stay, that the kernel takes memory from no program,
and that the table empties itself. The lab's gateways have 512 MiB (lab/machines/qemu.py), as a t3.nano and a t4g.nano
have. Does not prove it for Debian's own package lists: those of the lab's mirror are shorter. Prints the least memory
that was available.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pytest

from lab.progress import say
from tests.scenarios import captures, runner, services, sites
from tests.scenarios.captures import Place
from tests.scenarios.conftest import record
from tests.scenarios.crowd import SILENT, capacity, crowd, tracked
from tests.scenarios.diagnosis import answers
from tests.scenarios.diagnosis.answers import Answer
from tests.scenarios.gateway import Gateway, wait_until
from tests.scenarios.report import Result
from tests.scenarios.samples import Sample, sampled
from tests.scenarios.scenario import Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

pytestmark = pytest.mark.timeout(1200)

EXPECTATION: Final = Expectation(
    limit_seconds=0, lossless=True, hiccup_seconds=1.0, healed_by="nothing: the tunnel needs no entry of the table"
)
"""The one emulated processor also installs a package. Packets may wait for it, and some be lost, for a moment."""

KEPT: Final = 250
"""Connections that a server accepts. They end all at once, so they are few."""

RATE: Final = 1000
"""New connections a second until the table is full. An emulated gateway forwards about 1,500 packets a second."""

HOLD: Final = 600
"""New connections a second after that. Linux forgets one without an answer after 120 s: these are 72,000."""

_FULL: Final = 0.97
_FILL_SECONDS: Final = 60.0
_EMPTY_SECONDS: Final = 300.0
"""120 s, the time between two looks of the kernel for such entries (60 s), and as much again for a busy machine."""

_APT_SECONDS: Final = 400.0
_APT: Final = """
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update --error-on=any
apt-get -qq install --reinstall iptables >/dev/null
apt-get clean
"""

OWN_PROTECTION: Final = {"dbus-daemon", "sshd", "systemd-udevd"}
"""Debian spares these programs as much as the gateway spares pluto, or more. They take little memory."""


@contextmanager
def emptied_afterwards(gateway: Gateway, size: int) -> Iterator[None]:
    """Wait after the block until the gateway has forgotten the connections, for the tests that follow."""
    try:
        yield
    finally:
        few = size // 10
        wait_until(f"{gateway.name} forgets connections", lambda: tracked(gateway) < few, _EMPTY_SECONDS)


def looks_while_apt_works(gateway: Gateway) -> list[Answer]:
    """Let apt fetch its lists and install a package. Return what `vpn-verify` says meanwhile, again and again."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        apt = pool.submit(gateway.run, _APT, timeout=_APT_SECONDS)
        looks = [answers.ask([gateway])[gateway.name]]
        while not apt.done():
            looks.append(answers.ask([gateway])[gateway.name])
        apt.result()
    return looks


def without_the_crowd(pair: Pair) -> list[Place]:
    """Return the usual places of capture. They ignore the packets to the address where nothing answers."""
    return [replace(one, interesting=f"({one.interesting}) and not dst host {SILENT}") for one in captures.places(pair)]


def test_a_full_table_and_apt_at_once_cost_neither_the_tunnel_nor_a_program(
    judged_by_time: bool, pair: Pair, stream: Stream, results: list[Result]
) -> None:
    gateway, size = pair.uk.gateway, capacity(pair.uk.gateway)
    before = services.main_processes(gateway), services.killed_for_memory(gateway)
    looks: list[Answer] = []
    seen: list[Sample] = []

    def steps(pair: Pair, _variant: Variant) -> Steps:
        with (
            sampled(gateway) as samples,
            crowd(pair.uk, kept=KEPT, more=size + size // 10, rate=RATE, hold=HOLD) as opened,
        ):
            assert opened.hear("open") == [str(KEPT)]
            opened.hear("sent")
            wait_until("the table of uk-gateway is full", lambda: tracked(gateway) >= _FULL * size, _FILL_SECONDS)
            looks.extend(looks_while_apt_works(gateway))
        seen.extend(samples)
        yield

    scenario = Scenario(
        name="small-machine",
        title="uk's gateway has a full table of connections, and apt and vpn-verify work",
        seconds=150,
        description="A host opens more connections than the table holds while apt installs. The tunnel loses nothing.",
        expectation=EXPECTATION if judged_by_time else EXPECTATION.untimed(),
        steps=steps,
    )
    with emptied_afterwards(gateway, size):
        result = runner.run(scenario, stream, at=without_the_crowd(pair))
        record(result, results)
        most, least = max(one.connections for one in seen), min(one.available_kib for one in seen)
        say(f"{scenario.name}: at most {most} of {size} connections, at least {least / 1024:.0f} MiB available")
        say(f"{scenario.name}: {len(looks)} times vpn-verify, {max(look.seconds for look in looks):.0f} s at most")
        assert result.failures == ()
        assert most >= _FULL * size
        assert (services.main_processes(gateway), services.killed_for_memory(gateway)) == before
        # Whether a look finds the table full depends on the moment: the kernel tidies a table that is nearly full.
        assert {look.failed.name for look in looks if look.failed} <= {"conntrack"}
    assert [look.diagnosis for look in answers.ask(sites.find().gateways, wait=30).values()] == ["ok", "ok"]


def test_the_kernel_takes_memory_from_every_program_of_a_gateway_before_pluto(pair: Pair) -> None:
    for gateway in pair.gateways:
        assert services.kept_as_long_as("pluto", gateway.run(services.ADJUSTMENTS)) <= OWN_PROTECTION
