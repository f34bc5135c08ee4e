"""No flapping: half an hour at idle and half an hour under load, with rekeys every two minutes, lose no packet.

A rekey may have the gap of its protocol (faults/rekeyed.py), and there may be no more gaps than rekeys. No alarm may
begin.

Runs with `--soak` only (`make test-soak`); `--soak-minutes` shortens it.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.scenarios import captures, ipsec, runner, sites
from tests.scenarios.alarms import PROMISED, raised, raised_since, wait
from tests.scenarios.by_hand import changed_by_hand
from tests.scenarios.captures import Place
from tests.scenarios.conftest import record
from tests.scenarios.endpoint import KINDS, LOAD
from tests.scenarios.faults import rekeyed
from tests.scenarios.in_place import Program
from tests.scenarios.report import Result
from tests.scenarios.scenario import BOTH_SEND, Scenario, Senders, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

_FILE = "/etc/ipsec.d/vpn.conf"
# ipsec.conf(5): an SA is replaced `rekeymargin` before its life ends. Not both at the same second.
_LIFETIMES = {"salifetime": "180s", "ikelifetime": "190s", "rekeymargin": "60s", "rekeyfuzz": "0%"}
_REKEY_SECONDS = 120.0
_SAMPLE_SECONDS = 20.0

BUSY: Senders = {"uk": (*KINDS, LOAD), "au": (*KINDS, LOAD)}


@pytest.fixture(scope="module")
def minutes(request: pytest.FixtureRequest) -> float:
    if not request.config.getoption("--soak", default=False):
        pytest.skip("takes an hour: run it by `make test-soak`")
    return float(request.config.getoption("--soak-minutes"))


@pytest.fixture
def short_lived(monitored: Program, pair: Pair) -> Iterator[Pair]:
    """Let both gateways rekey every two minutes. Restore the connections afterwards."""
    lines = "".join(f"\\n  {keyword}={value}" for keyword, value in _LIFETIMES.items())
    names = "\\|".join(_LIFETIMES)
    script = f"cp -p {_FILE} {_FILE}.before; sed -i '/^ *\\({names}\\)=/d; s/^ *auto=.*/&{lines}/' {_FILE}"
    with changed_by_hand(pair.uk.gateway), changed_by_hand(pair.au.gateway):
        for gateway in pair.gateways:
            gateway.run(script)
        try:
            restart(pair)
            # The packets that a gateway without its daemon has stopped raise an alarm, which is no false one.
            time.sleep(PROMISED)
            wait("the alarms of the restart end", lambda: raised() == set())
            yield pair
        finally:
            for gateway in pair.gateways:
                gateway.run(f"mv {_FILE}.before {_FILE}")
            restart(pair)


def restart(pair: Pair) -> None:
    for gateway in pair.gateways:
        gateway.restart("ipsec")


def unencrypted(pair: Pair) -> list[Place]:
    """Return the usual places without ESP: an hour of it under load is gigabytes and shows nothing more."""
    return [replace(one, interesting=f"({one.interesting}) and not udp port 4500") for one in captures.places(pair)]


@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("senders", [BOTH_SEND, BUSY], ids=["idle", "load"])
def test_rekeys_every_two_minutes_lose_no_packet(
    minutes: float,
    senders: Senders,
    short_lived: Pair,
    stream: Stream,
    results: list[Result],
) -> None:
    seen: set[str] = set()
    began = datetime.now(UTC)

    def wait(pair: Pair, _variant: Variant) -> Steps:
        end = time.monotonic() + minutes * 60
        while (left := end - time.monotonic()) > 0:
            seen.update(spi for _, _, spi in ipsec.security_associations(pair.uk.gateway)["out"])
            time.sleep(min(_SAMPLE_SECONDS, left))
        yield

    what = "under load" if senders is BUSY else "at idle"
    scenario = Scenario(
        name=f"soak-{'load' if senders is BUSY else 'idle'}",
        title=f"{minutes:g} minutes {what}, rekeyed every {_REKEY_SECONDS:.0f} s",
        description="Both gateways rekey every two minutes. Only the protocol's own gap may be seen.",
        steps=wait,
        expectation=rekeyed.EXPECTATION,
        seconds=minutes * 60,
        senders=senders,
    )
    result = runner.run(scenario, stream, at=unencrypted(sites.find()))
    record(result, results)
    assert result.failures == ()
    assert raised_since(began) == set()
    assert max(len(flow.outages) for flow in result.flows) <= 2 * len(seen)
    assert len(seen) > minutes * 60 // _REKEY_SECONDS, f"only {len(seen)} SAs were seen: nothing was rekeyed"
