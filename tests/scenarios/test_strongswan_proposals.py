"""What a gateway's Libreswan negotiates with strongSwan, and what it refuses: both releases, without machines.

Proves, with the configuration that user data installs: IKE with an independent peer in both profiles, and that each
refuses every weaker offer. Does not prove ESP, which this host's kernel may lack: test_strongswan.py does, on machines.
Needs root; the first run unpacks strongSwan (half a minute). Leaves nothing behind.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from components.decisions.tunnel import TunnelProfile
from lab.machines.image import tool_root
from tests.scenarios.strongswan import peer
from tests.scenarios.strongswan.configuration import OFFERS, WEAK_OFFERS, WEAKER_THAN_THE_ARTICLE, Offer
from tests.scenarios.strongswan.confined import Confined, confined
from tests.scenarios.strongswan.peer import Peer, change, fresh, linked
from tests.unit.gateway_documents import AU, PPK, PSK, UK, gateway_document, installed_files

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.timeout(600),
]

RELEASES = ("debian-12", "debian-13")
HOME = "t-strongswan-home"
"""The namespace of the gateway's daemon."""

PLUTO = """
rm -f /etc/resolv.conf; : >/etc/resolv.conf
mkdir -p /run/pluto
ipsec initnss >/dev/null
exec /usr/libexec/ipsec/pluto --config /etc/ipsec.conf --nofork --stderrlog
"""


@dataclass(frozen=True)
class Setup:
    """A gateway's Libreswan without its machine, and strongSwan as its peer."""

    pluto: Confined
    peer: Peer

    def attempt(self, offer: Offer, *, seconds: int = 15) -> tuple[str, str]:
        """Let the peer make an offer. Return the logs of the peer and of the gateway."""
        self.peer.offer(offer)
        before = len(self.pluto.log.read_text())
        log = self.peer.initiate(seconds=seconds)
        return log.stdout + log.stderr, self.pluto.log.read_text()[before:]


def connected(release: str, profile: TunnelProfile) -> Iterator[Setup]:
    ids = f"{UK.public_ip} {AU.public_ip}"
    files = {
        "/etc/ipsec.d/vpn.conf": installed_files(gateway_document(UK, AU, profile))["/etc/ipsec.d/vpn.conf"],
        "/etc/ipsec.d/uk-to-au.secrets": f'{ids} : PSK "{PSK}"\n{ids} : PPKS "vpn" "{PPK}"\n',
    }
    with ExitStack() as stack:
        stack.enter_context(fresh(HOME, UK.private_ip))
        # There is no NAT: the gateway's own address is its public one.
        link = linked(HOME, here=AU.public_ip, there=UK.public_ip, addresses=[AU.private_ip])
        stack.enter_context(link)
        change(HOME, "route", "add", "default", "via", AU.public_ip)
        daemon = ["sh", "-euc", PLUTO]
        pluto = stack.enter_context(confined("pluto", daemon, namespace=HOME, tree=tool_root(release), files=files))
        pluto.wait_until("ipsec status | grep -q '\"uk-to-au\"'")
        yield Setup(pluto, stack.enter_context(peer.running(AU, UK, PSK, PPK)))


@pytest.fixture(scope="module", params=RELEASES)
def modern(request: pytest.FixtureRequest) -> Iterator[Setup]:
    """Yield a gateway of profile `modern`."""
    yield from connected(request.param, TunnelProfile.MODERN)


@pytest.fixture(scope="module", params=RELEASES)
def article(request: pytest.FixtureRequest) -> Iterator[Setup]:
    """Yield a gateway of profile `article-2014`."""
    yield from connected(request.param, TunnelProfile.ARTICLE_2014)


def test_modern_agrees_with_strongswan_on_both_phases(modern: Setup) -> None:
    of_peer, of_gateway = modern.attempt(OFFERS[TunnelProfile.MODERN])
    assert "selected proposal: IKE:AES_GCM_16_256/PRF_HMAC_SHA2_512/ECP_384" in of_peer
    assert "authenticated peer using authby=secret and ID_IPV4_ADDR '198.51.100.20'" in of_gateway
    assert "PPK AUTH calculated as responder" in of_gateway
    # The two releases name the cipher differently.
    assert re.search(r"proposal 1:ESP=AES_GCM_(16|C)_256", of_gateway), of_gateway


def test_modern_refuses_a_peer_without_the_postquantum_key(modern: Setup) -> None:
    of_peer, of_gateway = modern.attempt(replace(OFFERS[TunnelProfile.MODERN], is_postquantum=False))
    # 4.10 finds it missing only when the peer authenticates itself.
    assert re.search("NO_PROPOSAL_CHOSEN|AUTHENTICATION_FAILED", of_peer), of_peer
    assert re.search("peer does not support PPK|Requested PPK_ID not found and", of_gateway), of_gateway
    assert "selected proposal: ESP" not in of_peer


@pytest.mark.parametrize("weakness", WEAK_OFFERS)
def test_modern_refuses(modern: Setup, weakness: str) -> None:
    offer = WEAK_OFFERS[weakness]
    if offer.ike_version == 1:
        # The gateway ignores IKEv1.
        of_peer, of_gateway = modern.attempt(offer, seconds=1)
        assert re.search(r"ignoring IKEv1 packet as (global )?policy is set to silently drop all IKEv1", of_gateway), (
            of_gateway
        )
    else:
        of_peer, of_gateway = modern.attempt(offer)
        assert "received NO_PROPOSAL_CHOSEN notify" in of_peer
        assert "no local proposal matches remote proposals" in of_gateway
    assert "selected proposal: ESP" not in of_peer


def test_article_2014_agrees_with_strongswan_on_both_phases(article: Setup) -> None:
    of_peer, of_gateway = article.attempt(OFFERS[TunnelProfile.ARTICLE_2014], seconds=3)
    assert "selected proposal: IKE:AES_CBC_256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048" in of_peer
    assert "IKE_SA strongswan[" in of_peer
    assert "responding to Quick Mode proposal" in of_gateway


@pytest.mark.parametrize("weakness", WEAKER_THAN_THE_ARTICLE)
def test_article_2014_refuses(article: Setup, weakness: str) -> None:
    of_peer, of_gateway = article.attempt(WEAKER_THAN_THE_ARTICLE[weakness], seconds=3)
    # Aggressive mode is ignored: it allows guessing the key offline.
    assert "NO_PROPOSAL_CHOSEN" in of_peer or "initial Aggressive Mode message" in of_gateway, of_gateway
    assert "selected proposal" not in of_peer
