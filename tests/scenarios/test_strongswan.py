"""strongSwan as the peer of an unmodified gateway: the tunnel, whoever begins, and what the gateway refuses.

Proves that a gateway speaks to an implementation that shares no code with its own, and that a peer which offers less
than the profile gets no tunnel. Does not prove strongSwan's own data path in a kernel: its ESP is in user space here.
For `article-2014` the gateway is given the connection that the product renders, for the length of the test; the matrix
meets strongSwan on gateways that booted with it.
"""

import json
import time
from collections.abc import Iterator

import pytest

from components.decisions.tunnel import TunnelProfile
from lab import hosts
from tests.scenarios import negotiated, operations, sites
from tests.scenarios import strongswan_encounter as encounter
from tests.scenarios.strongswan_configuration import OFFERS, WEAK_OFFERS, WEAKER_THAN_THE_ARTICLE, Offer
from tests.scenarios.strongswan_encounter import Encounter
from tests.scenarios.strongswan_takeover import in_the_place_of

pytestmark = pytest.mark.timeout(900)

_STRONG_IKE = OFFERS[TunnelProfile.MODERN].ike
_ESP_WITH_PFS = "AES_GCM_16-256/ECP_384"


@pytest.fixture(scope="module")
def met(running_stack: None) -> Iterator[Encounter]:
    """Give uk's gateway, as it is, and strongSwan in the place of au's."""
    pair = sites.find()
    with in_the_place_of(pair.au, pair.uk) as stranger:
        yield Encounter(stranger=stranger, gateway=pair.uk, replaced=pair.au)


@pytest.fixture(scope="module")
def met_in_2014(met: Encounter) -> Iterator[Encounter]:
    """Give the same with the gateway's connection as profile `article-2014` has it."""
    with encounter.connection_of(TunnelProfile.ARTICLE_2014, met):
        yield met


def rekey(met: Encounter) -> str:
    """Let the stranger rekey the Child SA; return what it logged of that."""
    before = len(met.stranger.program.log.read_text())
    met.stranger.rekey()
    time.sleep(3)
    return met.stranger.program.log.read_text()[before:]


def test_a_modern_tunnel_that_the_stranger_begins_carries_packets_both_ways(met: Encounter) -> None:
    encounter.meet(met, TunnelProfile.MODERN)


def test_the_gateways_own_verification_holds_with_a_stranger_for_a_peer(met: Encounter) -> None:
    asked = hosts.run(met.gateway.gateway_id, ["vpn-verify", "--json"], timeout=90)
    assert {layer["name"]: layer["status"] for layer in json.loads(asked.stdout)["layers"]} == {
        layer["name"]: "ok" for layer in json.loads(asked.stdout)["layers"]
    }, asked.stdout


def test_a_modern_rekey_by_the_stranger_has_a_key_exchange_of_its_own(met: Encounter) -> None:
    before = encounter.established(met)
    rekey(met)
    after = encounter.established(met)
    assert after.spi != before.spi
    assert after.esp_algorithms == _ESP_WITH_PFS
    encounter.check_packets_both_ways(met)


def test_a_modern_rekey_by_the_gateway_has_a_key_exchange_of_its_own(met: Encounter) -> None:
    encounter.meet(met, TunnelProfile.MODERN)
    before = encounter.established(met)
    operations.rekey(met.gateway, "child")
    deadline = time.monotonic() + 20
    while (after := encounter.established(met)).spi == before.spi:
        assert time.monotonic() < deadline, negotiated.log(met.gateway)
        time.sleep(0.5)
    assert after.esp_algorithms == _ESP_WITH_PFS
    encounter.check_packets_both_ways(met)


def test_a_packet_of_the_private_host_begins_a_modern_tunnel_with_a_stranger_that_only_answers(met: Encounter) -> None:
    met.stranger.offer(OFFERS[TunnelProfile.MODERN])
    # The gateway has just been told that nothing stands any more.
    pings = encounter.ping_from_private_host(met, patience=30)
    assert f"{encounter.PINGS} received" in pings.stdout.decode(), pings.stdout
    assert not encounter.established(met).is_initiator
    encounter.check_negotiated(met, TunnelProfile.MODERN)
    encounter.check_packets_both_ways(met)


@pytest.mark.parametrize("esp", ["aes256gcm16", "aes256gcm16-modp1024", "aes256gcm16-modp1536"])
def test_modern_refuses_a_rekey_without_a_strong_key_exchange(met: Encounter, esp: str) -> None:
    # In the first exchange the Child SA takes its keys from IKE (RFC 7296, 1.2): only the rekey shows the group.
    met.stranger.offer(Offer(ike=_STRONG_IKE, esp=esp))
    met.stranger.initiate()
    before = encounter.established(met)
    heard = rekey(met)
    assert "NO_PROPOSAL_CHOSEN" in heard or "INVALID_KE_PAYLOAD" in heard, heard
    assert encounter.established(met).spi == before.spi


@pytest.mark.parametrize("weakness", WEAK_OFFERS)
def test_modern_refuses(met: Encounter, weakness: str) -> None:
    offer = WEAK_OFFERS[weakness]
    met.stranger.offer(offer)
    said = met.stranger.initiate(seconds=3 if offer.ike_version == 1 else 15)
    assert said.returncode != 0, said.stdout
    if offer.ike_version == 1:
        # It says nothing to IKEv1, not even that.
        assert "received packet" not in said.stdout
    else:
        assert "received NO_PROPOSAL_CHOSEN notify" in said.stdout, said.stdout
    assert [found for found in met.stranger.associations() if found.esp_algorithms] == []
    assert not negotiated.tunnel(met.gateway).is_up


def test_after_all_refusals_a_strong_offer_is_taken(met: Encounter) -> None:
    encounter.meet(met, TunnelProfile.MODERN)


def test_an_article_2014_tunnel_carries_packets_both_ways(met_in_2014: Encounter) -> None:
    encounter.meet(met_in_2014, TunnelProfile.ARTICLE_2014)


@pytest.mark.parametrize("weakness", WEAKER_THAN_THE_ARTICLE)
def test_article_2014_refuses(met_in_2014: Encounter, weakness: str) -> None:
    met_in_2014.stranger.offer(WEAKER_THAN_THE_ARTICLE[weakness])
    said = met_in_2014.stranger.initiate(seconds=4)
    assert said.returncode != 0, said.stdout
    assert [found for found in met_in_2014.stranger.associations() if found.esp_algorithms] == []
    assert not negotiated.tunnel(met_in_2014.gateway).is_up
