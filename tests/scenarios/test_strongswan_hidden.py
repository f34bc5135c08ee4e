"""strongSwan as a peer whose private address is unknown: its tunnel is watched and verified by SAs and counters.

Proves that nothing is sent through an idle tunnel, that vpn-verify holds and names SAs and counters, and that vpn-watch
asks for SAs that are gone. The gateway is one of a pair, made to expect what a `VpnGateway` does of such a peer. Does
not prove what the component renders (tests/unit/test_vpn_gateway.py).
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import expectations
from components.decisions.tunnel import TunnelProfile
from tests.scenarios import negotiated, sites
from tests.scenarios.by_hand import changed_by_hand
from tests.scenarios.diagnosis import answers
from tests.scenarios.gateway import Gateway, wait_until
from tests.scenarios.strongswan import tunnel
from tests.scenarios.strongswan.substitute import in_place_of
from tests.scenarios.strongswan.tunnel import Setup

pytestmark = pytest.mark.timeout(900)

_IDLE_SECONDS = 10
_HEALED_SECONDS = 30


@contextmanager
def _without_private_ip(gateway: Gateway) -> Iterator[None]:
    """Let the gateway know no private address of its peer while the block runs, like a `VpnGateway`.

    A `VpnGateway` has no connection that proves the key either.
    """
    before = gateway.read(expectations.PATH)
    expected = json.loads(before)
    (peer,) = expected["peers"]
    peer["private_ip"] = ""
    key = f"key/{gateway.connection}"
    # in_place_of has just restarted ipsec.
    wait_until(f"{key} is loaded", lambda: f'"{key}"' in gateway.run("ipsec status"), _HEALED_SECONDS)
    with changed_by_hand(gateway):
        try:
            gateway.run(f"ipsec whack --delete --name {key}")
            gateway.write(expectations.PATH, json.dumps(expected))
            gateway.restart("vpn-watch")
            yield
        finally:
            # The connection that proves the key comes back with the restart of ipsec.
            gateway.write(expectations.PATH, before)
            gateway.restart("vpn-watch")


@pytest.fixture(scope="module")
def setup(running_stack: None) -> Iterator[Setup]:
    """Yield uk's gateway, which knows no private address of its peer, and strongSwan in place of au's."""
    pair = sites.find()
    with in_place_of(pair.au, pair.uk) as peer, _without_private_ip(pair.uk.gateway):
        yield Setup(peer=peer, site=pair.uk, replaced=pair.au)


def _watched(gateway: Gateway) -> str:
    """Return the journal of vpn-watch."""
    return gateway.run("journalctl -q --no-pager -u vpn-watch -o cat")


def test_packets_cross_both_ways_and_vpn_verify_names_sas_and_counters(setup: Setup) -> None:
    tunnel.connect(setup, TunnelProfile.MODERN)
    (look,) = answers.ask([setup.site.gateway], wait=150).values()
    assert look.exit_code == 0, look.raw
    evidence = {layer.name: layer.evidence for layer in look.layers}
    assert not evidence.keys() & {"ping", "mtu"}
    now = negotiated.tunnel(setup.site.gateway)
    assert evidence["counters"] == (
        f"{setup.site.gateway.connection} has its Child SAs, bytes in, out: {[now.bytes_in, now.bytes_out]}; "
        "no ping, because private_ip is unknown"
    )


def test_nothing_is_sent_through_an_idle_tunnel_and_it_is_left_alone(setup: Setup) -> None:
    tunnel.connect(setup, TunnelProfile.MODERN)
    before, journal = negotiated.tunnel(setup.site.gateway), _watched(setup.site.gateway)
    spi = tunnel.established(setup).spi
    time.sleep(_IDLE_SECONDS)
    assert negotiated.tunnel(setup.site.gateway) == before
    assert tunnel.established(setup).spi == spi
    assert _watched(setup.site.gateway) == journal


def test_sas_that_have_carried_nothing_yet_are_told_to_be_idle(setup: Setup) -> None:
    tunnel.connect(setup, TunnelProfile.MODERN)
    setup.peer.rekey()
    gateway = setup.site.gateway
    # The old SA goes a moment later.
    wait_until("the SA is a new one", lambda: negotiated.tunnel(gateway).bytes_in == 0, _HEALED_SECONDS)
    (look,) = answers.ask([gateway]).values()
    (evidence,) = [layer.evidence for layer in look.layers if layer.name == "counters"]
    assert "bytes in, out: [0, 0]; idle: no byte in or out by these SAs" in evidence, look.raw
    assert look.exit_code == 0, look.raw


def test_sas_that_this_side_has_dropped_are_asked_for_and_packets_cross_again(setup: Setup) -> None:
    tunnel.connect(setup, TunnelProfile.MODERN)
    gateway, journal = setup.site.gateway, _watched(setup.site.gateway)
    # No packet is on its way that could trap, and strongSwan begins nothing by itself.
    gateway.run(f"ipsec whack --terminate --name {gateway.connection}")
    assert not negotiated.tunnel(gateway).is_up
    wait_until("vpn-watch has asked for SAs", lambda: negotiated.tunnel(gateway).is_up, _HEALED_SECONDS)
    assert not tunnel.established(setup).is_initiator
    wait_until("vpn-watch notices", lambda: "is up again" in _watched(gateway)[len(journal) :], _HEALED_SECONDS)
    said = _watched(gateway)[len(journal) :]
    assert "the peer's IKE daemon answers: asking for other SAs" in said
    assert "negotiating from the start" not in said
    tunnel.check_packets_both_ways(setup)
