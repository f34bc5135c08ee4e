"""Checks of the tunnel between a gateway and strongSwan, in every profile and release."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from components.decisions.tunnel import PROFILES, TunnelProfile
from tests.scenarios import negotiated
from tests.scenarios.gateway import Gateway
from tests.scenarios.sites import Site
from tests.scenarios.strongswan.configuration import OFFERS, Association
from tests.scenarios.strongswan.peer import Peer
from tests.scenarios.strongswan.substitute import end
from tests.unit.gateway_documents import gateway_document, installed_files

PINGS = 5
_PAYLOAD = 84
"""Bytes of ping's packet, IPv4 header included."""

_TRIES = 5

_CONNECTION_FILE = "/etc/ipsec.d/vpn.conf"

_EXPECTED = {
    TunnelProfile.MODERN: ("AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384/PPK", "AES_GCM_16-256"),
    TunnelProfile.ARTICLE_2014: (
        "AES_CBC-256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048",
        "AES_CBC-256/HMAC_SHA1_96/MODP_2048",
    ),
}
"""Profile -> algorithms of IKE and ESP as strongSwan names them. IKEv2's first Child SA has no separate group."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """A site with its gateway, and strongSwan as the gateway's peer in place of the other site's gateway."""

    peer: Peer
    site: Site
    replaced: Site


def ping_from_private_host(setup: Setup, *, patience: int = 0) -> subprocess.CompletedProcess[str]:
    """Ping the peer's private address from the site's private host; wait `patience` seconds for a first reply."""
    target = setup.replaced.private_host.private_ip
    until = f"for _ in $(seq {patience}); do ping -c1 -W1 {target} >/dev/null && break; done; "
    script = f"{until}exec ping -n -c {PINGS} -i 0.3 -W 2 {target}"
    return setup.site.private_host.ask(script, timeout=2 * patience + 60)


def check_packets_both_ways(setup: Setup) -> None:
    """Ping from both private sides. Every packet is answered, and the gateway counts it as payload."""
    before = negotiated.tunnel(setup.site.gateway)
    outward = ping_from_private_host(setup)
    inward = setup.peer.ping(setup.replaced.private_host.private_ip, setup.site.private_host.private_ip, count=PINGS)
    after = negotiated.tunnel(setup.site.gateway)
    assert f"{PINGS} received" in outward.stdout, outward.stdout
    assert f"{PINGS} received" in inward.stdout, inward.stdout
    # Each ping is a request one way and a reply the other.
    assert after.bytes_in - before.bytes_in >= 2 * PINGS * _PAYLOAD, (before, after)
    assert after.bytes_out - before.bytes_out >= 2 * PINGS * _PAYLOAD, (before, after)


def check_negotiated(setup: Setup, profile: TunnelProfile) -> None:
    """Compare the SAs that each of the two daemons shows with the profile."""
    expected, of_gateway = PROFILES[profile], negotiated.tunnel(setup.site.gateway)
    assert of_gateway.ike.startswith(f"IKEv{expected.ike_version} {expected.ike_algorithm}"), of_gateway
    assert of_gateway.esp == expected.esp_algorithm, of_gateway
    of_peer = established(setup)
    ike, esp = _EXPECTED[profile]
    assert (of_peer.ike_version, of_peer.ike_algorithms) == (expected.ike_version, ike), of_peer
    assert of_peer.esp_algorithms.startswith(esp), of_peer


def established(setup: Setup, *, seconds: float = 15.0) -> Association:
    """Return the peer's newest IKE SA with a Child SA. Raises AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        associations = setup.peer.associations()
        with_child = [association for association in associations if association.esp_algorithms]
        if with_child:
            return with_child[-1]
        assert time.monotonic() < deadline, associations
        time.sleep(0.5)


def connect(setup: Setup, profile: TunnelProfile) -> None:
    """Let a peer that is configured for the profile begin. Check what is negotiated and that packets cross."""
    for _ in range(_TRIES):
        setup.peer.offer(OFFERS[profile])
        log = setup.peer.initiate()
        # A gateway that has just lost its tunnel begins one itself, and may be first.
        if established(setup).is_initiator and log.returncode == 0:
            break
    else:
        raise AssertionError(f"the gateway was first {_TRIES} times: {log.stdout}{log.stderr}")
    check_negotiated(setup, profile)
    check_packets_both_ways(setup)


@contextmanager
def connection_of(profile: TunnelProfile, setup: Setup) -> Iterator[None]:
    """Replace /etc/ipsec.d/vpn.conf on the gateway by that of `profile` while the block runs."""
    gateway = setup.site.gateway
    before = gateway.read(_CONNECTION_FILE)
    document = gateway_document(end(setup.site), end(setup.replaced), profile)
    try:
        _load(gateway, installed_files(document)[_CONNECTION_FILE])
        yield
    finally:
        _load(gateway, before)


def _load(gateway: Gateway, text: str) -> None:
    gateway.write(_CONNECTION_FILE, text)
    gateway.restart("ipsec")
    gateway.run(
        f"for _ in $(seq 60); do ipsec status | grep -q '\"{gateway.connection}\"' && exit; sleep 0.5; done; exit 1"
    )
