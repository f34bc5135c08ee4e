"""What a gateway's Libreswan negotiates with strongSwan, and what it refuses: both releases, without machines.

Proves, with the configuration that user data installs: IKE with an independent peer in both profiles, and that each
refuses every weaker offer. Does not prove ESP, which this host's kernel may lack: test_strongswan.py does, on machines.
Needs root; the first run unpacks strongSwan (half a minute). Leaves nothing behind.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from components.decisions.tunnel import TunnelProfile
from lab.machines.image import tool_root
from tests.scenarios import strongswan
from tests.scenarios.strongswan import Stranger, change, fresh, linked
from tests.scenarios.strongswan_configuration import OFFERS, WEAK_OFFERS, WEAKER_THAN_THE_ARTICLE, Offer
from tests.scenarios.strongswan_confinement import Confined, confined
from tests.unit.gateway_documents import AU, PSK, UK, gateway_document, installed_files

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
class Meeting:
    """A gateway's Libreswan without its machine, and a stranger who speaks to it."""

    pluto: Confined
    stranger: Stranger

    def attempt(self, offer: Offer, *, seconds: int = 15) -> tuple[str, str]:
        """Let the stranger make an offer; return its log and the gateway's log of that."""
        self.stranger.offer(offer)
        before = len(self.pluto.log.read_text())
        said = self.stranger.initiate(seconds=seconds)
        return said.stdout + said.stderr, self.pluto.log.read_text()[before:]


def meeting(release: str, profile: TunnelProfile) -> Iterator[Meeting]:
    files = {
        "/etc/ipsec.d/vpn.conf": installed_files(gateway_document(UK, AU, profile))["/etc/ipsec.d/vpn.conf"],
        "/etc/ipsec.d/uk-to-au.secrets": f'{UK.public_ip} {AU.public_ip} : PSK "{PSK}"\n',
    }
    with ExitStack() as stack:
        stack.enter_context(fresh(HOME, UK.private_ip))
        # No NAT here: the gateway's own address is its public one.
        link = linked(HOME, here=AU.public_ip, there=UK.public_ip, addresses=[AU.private_ip])
        stack.enter_context(link)
        change(HOME, "route", "add", "default", "via", AU.public_ip)
        daemon = ["sh", "-euc", PLUTO]
        pluto = stack.enter_context(confined("pluto", daemon, namespace=HOME, tree=tool_root(release), files=files))
        pluto.wait_until("sh", "-c", "ipsec status | grep -q '\"uk-to-au\"'")
        yield Meeting(pluto, stack.enter_context(strongswan.running(AU, UK, PSK)))


@pytest.fixture(scope="module", params=RELEASES)
def modern(request: pytest.FixtureRequest) -> Iterator[Meeting]:
    """Give a gateway of profile `modern`."""
    yield from meeting(request.param, TunnelProfile.MODERN)


@pytest.fixture(scope="module", params=RELEASES)
def article(request: pytest.FixtureRequest) -> Iterator[Meeting]:
    """Give a gateway of profile `article-2014`."""
    yield from meeting(request.param, TunnelProfile.ARTICLE_2014)


def test_modern_agrees_with_the_stranger_on_both_phases(modern: Meeting) -> None:
    said, heard = modern.attempt(OFFERS[TunnelProfile.MODERN])
    assert "selected proposal: IKE:AES_GCM_16_256/PRF_HMAC_SHA2_512/ECP_384" in said
    assert "authenticated peer using authby=secret and ID_IPV4_ADDR '198.51.100.20'" in heard
    # The two releases name the cipher differently.
    assert re.search(r"proposal 1:ESP=AES_GCM_(16|C)_256", heard), heard


@pytest.mark.parametrize("weakness", WEAK_OFFERS)
def test_modern_refuses(modern: Meeting, weakness: str) -> None:
    offer = WEAK_OFFERS[weakness]
    if offer.ike_version == 1:
        # It says nothing to IKEv1, not even that.
        said, heard = modern.attempt(offer, seconds=1)
        assert re.search(r"ignoring IKEv1 packet as (global )?policy is set to silently drop all IKEv1", heard), heard
    else:
        said, heard = modern.attempt(offer)
        assert "received NO_PROPOSAL_CHOSEN notify" in said
        assert "no local proposal matches remote proposals" in heard
    assert "selected proposal: ESP" not in said


def test_article_2014_agrees_with_the_stranger_on_both_phases(article: Meeting) -> None:
    said, heard = article.attempt(OFFERS[TunnelProfile.ARTICLE_2014], seconds=3)
    assert "selected proposal: IKE:AES_CBC_256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048" in said
    assert "IKE_SA stranger[" in said
    assert "responding to Quick Mode proposal" in heard


@pytest.mark.parametrize("weakness", WEAKER_THAN_THE_ARTICLE)
def test_article_2014_refuses(article: Meeting, weakness: str) -> None:
    said, heard = article.attempt(WEAKER_THAN_THE_ARTICLE[weakness], seconds=3)
    # Aggressive mode is ignored: it would let anybody guess the key offline.
    assert "NO_PROPOSAL_CHOSEN" in said or "initial Aggressive Mode message" in heard, heard
    assert "selected proposal" not in said
