"""strongSwan as the peer of an unmodified gateway: the tunnel in both directions, and the offers that are refused.

Proves that a gateway works with an implementation that shares no code with its own, and that a peer which offers less
than the profile gets no tunnel. Does not prove strongSwan's own data path in a kernel: its ESP is in user space here.
For `article-2014` the gateway gets the connection that the product renders, during the test. test_matrix.py connects
strongSwan to gateways that booted with it.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from components.decisions.tunnel import TunnelProfile
from tests.scenarios import ipsec, negotiated, sites
from tests.scenarios.diagnosis import answers
from tests.scenarios.ipsec import pre_shared_keys
from tests.scenarios.strongswan import tunnel
from tests.scenarios.strongswan.configuration import OFFERS, WEAK_OFFERS, WEAKER_THAN_THE_ARTICLE, Offer
from tests.scenarios.strongswan.substitute import in_place_of
from tests.scenarios.strongswan.tunnel import Setup

pytestmark = pytest.mark.timeout(900)

_STRONG_IKE = OFFERS[TunnelProfile.MODERN].ike
_ESP_WITH_PFS = "AES_GCM_16-256/ECP_384"


@pytest.fixture(scope="module")
def setup(running_stack: None) -> Iterator[Setup]:
    """Yield uk's gateway, unchanged, and strongSwan in place of au's."""
    pair = sites.find()
    with in_place_of(pair.au, pair.uk) as peer:
        yield Setup(peer=peer, site=pair.uk, replaced=pair.au)


@pytest.fixture(scope="module")
def setup_of_2014(setup: Setup) -> Iterator[Setup]:
    """Yield the same while the gateway has the connection of profile `article-2014`."""
    with tunnel.connection_of(TunnelProfile.ARTICLE_2014, setup):
        yield setup


def rekey(setup: Setup) -> str:
    """Let the peer rekey the Child SA. Return its log of that."""
    before = len(setup.peer.program.log.read_text())
    setup.peer.rekey()
    time.sleep(3)
    return setup.peer.program.log.read_text()[before:]


def test_a_modern_tunnel_that_strongswan_begins_carries_packets_both_ways(setup: Setup) -> None:
    tunnel.connect(setup, TunnelProfile.MODERN)


def test_the_gateways_own_verification_holds_with_strongswan_as_its_peer(setup: Setup) -> None:
    (look,) = answers.ask([setup.site.gateway]).values()
    # Only a gateway of a pair has the connection by which the key is proved.
    assert {layer.name for layer in look.layers if layer.status != "ok"} == {"key"}, look.raw


def test_a_modern_rekey_by_strongswan_has_a_key_exchange_of_its_own(setup: Setup) -> None:
    before = tunnel.established(setup)
    rekey(setup)
    after = tunnel.established(setup)
    assert after.spi != before.spi
    assert after.esp_algorithms == _ESP_WITH_PFS
    tunnel.check_packets_both_ways(setup)


def test_a_modern_rekey_by_the_gateway_has_a_key_exchange_of_its_own(setup: Setup) -> None:
    tunnel.connect(setup, TunnelProfile.MODERN)
    before = tunnel.established(setup)
    ipsec.rekey(setup.site.gateway, "child")
    deadline = time.monotonic() + 20
    while (after := tunnel.established(setup)).spi == before.spi:
        assert time.monotonic() < deadline, negotiated.log(setup.site.gateway)
        time.sleep(0.5)
    assert after.esp_algorithms == _ESP_WITH_PFS
    tunnel.check_packets_both_ways(setup)


def test_a_packet_of_the_private_host_begins_a_modern_tunnel_with_a_peer_that_only_answers(setup: Setup) -> None:
    setup.peer.offer(OFFERS[TunnelProfile.MODERN])
    # The peer has just deleted all SAs.
    pings = tunnel.ping_from_private_host(setup, patience=30)
    assert f"{tunnel.PINGS} received" in pings.stdout, pings.stdout
    assert not tunnel.established(setup).is_initiator
    tunnel.check_negotiated(setup, TunnelProfile.MODERN)
    tunnel.check_packets_both_ways(setup)


@pytest.mark.parametrize("esp", ["aes256gcm16", "aes256gcm16-modp1024", "aes256gcm16-modp1536"])
def test_modern_refuses_a_rekey_without_a_strong_key_exchange(setup: Setup, esp: str) -> None:
    # In the first exchange the Child SA takes its keys from IKE (RFC 7296, 1.2): only the rekey shows the group.
    setup.peer.offer(Offer(ike=_STRONG_IKE, esp=esp))
    setup.peer.initiate()
    before = tunnel.established(setup)
    log = rekey(setup)
    assert "NO_PROPOSAL_CHOSEN" in log or "INVALID_KE_PAYLOAD" in log, log
    assert tunnel.established(setup).spi == before.spi


@pytest.mark.parametrize("weakness", WEAK_OFFERS)
def test_modern_refuses(setup: Setup, weakness: str) -> None:
    offer = WEAK_OFFERS[weakness]
    setup.peer.offer(offer)
    log = setup.peer.initiate(seconds=3 if offer.ike_version == 1 else 15)
    assert log.returncode != 0, log.stdout
    if offer.ike_version == 1:
        # The gateway ignores IKEv1.
        assert "received packet" not in log.stdout
    else:
        assert "received NO_PROPOSAL_CHOSEN notify" in log.stdout, log.stdout
    assert [sa for sa in setup.peer.associations() if sa.esp_algorithms] == []
    assert not negotiated.tunnel(setup.site.gateway).is_up


@pytest.mark.parametrize("kind", ["PSK", 'PPKS "vpn"'])
def test_modern_refuses_a_peer_that_has_a_key_of_before_a_rotation(setup: Setup, kind: str) -> None:
    gateway = setup.site.gateway
    before = gateway.read(gateway.secrets_file)
    try:
        # What vpn-configure does with another version of the key.
        gateway.write(
            gateway.secrets_file,
            re.sub(f'{kind} "[^"]+"$', f'{kind} "the-next-key-for-scenarios-0123456789"', before, flags=re.M),
        )
        gateway.run("ipsec whack --rereadsecrets")
        setup.peer.offer(OFFERS[TunnelProfile.MODERN])
        log = setup.peer.initiate()
    finally:
        gateway.write(gateway.secrets_file, before)
        gateway.run("ipsec whack --rereadsecrets")
    assert log.returncode != 0, log.stdout
    assert "AUTHENTICATION_FAILED" in log.stdout
    assert [sa for sa in setup.peer.associations() if sa.esp_algorithms] == []


def test_modern_refuses_a_peer_without_the_postquantum_key_and_names_the_cause(setup: Setup) -> None:
    psk, ppk = pre_shared_keys(setup.site.gateway).values()
    setup.peer.replace_keys(psk, None)
    try:
        setup.peer.offer(replace(OFFERS[TunnelProfile.MODERN], is_postquantum=False))
        log = setup.peer.initiate()
        assert log.returncode != 0, log.stdout
        assert [sa for sa in setup.peer.associations() if sa.esp_algorithms] == []
        (look,) = answers.ask([setup.site.gateway]).values()
    finally:
        setup.peer.replace_keys(psk, ppk)
    (ike,) = [layer for layer in look.layers if layer.name == "ike"]
    assert ike.status == "failed", look.raw
    assert "no postquantum pre-shared key in common" in ike.evidence


def test_after_all_refusals_a_strong_offer_is_taken(setup: Setup) -> None:
    tunnel.connect(setup, TunnelProfile.MODERN)


def test_an_article_2014_tunnel_carries_packets_both_ways(setup_of_2014: Setup) -> None:
    tunnel.connect(setup_of_2014, TunnelProfile.ARTICLE_2014)


@pytest.mark.parametrize("weakness", WEAKER_THAN_THE_ARTICLE)
def test_article_2014_refuses(setup_of_2014: Setup, weakness: str) -> None:
    setup_of_2014.peer.offer(WEAKER_THAN_THE_ARTICLE[weakness])
    log = setup_of_2014.peer.initiate(seconds=4)
    assert log.returncode != 0, log.stdout
    assert [sa for sa in setup_of_2014.peer.associations() if sa.esp_algorithms] == []
    assert not negotiated.tunnel(setup_of_2014.site.gateway).is_up
