"""What is asked of a gateway that meets strongSwan, in whatever profile and release it runs."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from components.decisions.tunnel import PROFILES, End, TunnelProfile
from lab import hosts
from tests.scenarios import negotiated
from tests.scenarios.operations import on_gateway
from tests.scenarios.sites import Site
from tests.scenarios.strongswan import Stranger
from tests.scenarios.strongswan_configuration import OFFERS, Association
from tests.unit.gateway_documents import gateway_document, installed_files

PINGS = 5
_PAYLOAD = 84
"""Bytes of ping's packet, IPv4 header included."""

_TRIES = 5

_CONNECTION_FILE = "/etc/ipsec.d/vpn.conf"

_EXPECTED = {
    TunnelProfile.MODERN: ("AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384", "AES_GCM_16-256"),
    TunnelProfile.ARTICLE_2014: (
        "AES_CBC-256/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048",
        "AES_CBC-256/HMAC_SHA1_96/MODP_2048",
    ),
}
"""Profile -> IKE's and ESP's algorithms in strongSwan's words; IKEv2's first Child SA has no group of its own."""


@dataclass(frozen=True, kw_only=True)
class Encounter:
    """A gateway and the stranger that it takes for its peer."""

    stranger: Stranger
    gateway: Site
    replaced: Site


def ping_from_private_host(
    met: Encounter, *, count: int = PINGS, patience: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """Ping the stranger's private address from the gateway's private host; `patience` seconds for a first reply."""
    target = met.replaced.private_ip
    until = f"for _ in $(seq {patience}); do ping -c1 -W1 {target} >/dev/null && break; done; "
    script = f"{until}exec ping -n -c {count} -i 0.3 -W 2 {target}"
    return hosts.run(met.gateway.private_host_id, ["sh", "-c", script], timeout=2 * patience + 60)


def check_packets_both_ways(met: Encounter) -> None:
    """Ping from both private sides; every packet is answered, and the gateway's counters have it as payload."""
    before = negotiated.tunnel(met.gateway)
    outward = ping_from_private_host(met)
    inward = met.stranger.ping(met.replaced.private_ip, met.gateway.private_ip, count=PINGS)
    after = negotiated.tunnel(met.gateway)
    assert f"{PINGS} received" in outward.stdout.decode(), outward.stdout
    assert f"{PINGS} received" in inward.stdout, inward.stdout
    # Each ping is a request one way and a reply the other.
    assert after.bytes_in - before.bytes_in >= 2 * PINGS * _PAYLOAD, (before, after)
    assert after.bytes_out - before.bytes_out >= 2 * PINGS * _PAYLOAD, (before, after)


def check_negotiated(met: Encounter, profile: TunnelProfile) -> None:
    """Compare the SAs, as each of the two daemons shows them, with what the profile says."""
    expected, here = PROFILES[profile], negotiated.tunnel(met.gateway)
    assert here.ike.startswith(f"IKEv{expected.ike_version} {expected.ike_algorithm}"), here
    assert here.esp == expected.esp_algorithm, here
    there = established(met)
    ike, esp = _EXPECTED[profile]
    assert (there.ike_version, there.ike_algorithms) == (expected.ike_version, ike), there
    assert there.esp_algorithms.startswith(esp), there


def established(met: Encounter, *, seconds: float = 15.0) -> Association:
    """Return the stranger's newest IKE SA that has a Child SA; raises AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = met.stranger.associations()
        with_child = [association for association in found if association.esp_algorithms]
        if with_child:
            return with_child[-1]
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


def meet(met: Encounter, profile: TunnelProfile) -> None:
    """Let the stranger begin, as a peer that was set up for the profile; see what stands and what it carries."""
    for _ in range(_TRIES):
        met.stranger.offer(OFFERS[profile])
        said = met.stranger.initiate()
        # A gateway that has just lost its tunnel begins one itself, and may be first.
        if established(met).is_initiator and said.returncode == 0:
            break
    else:
        raise AssertionError(f"the gateway was first {_TRIES} times: {said.stdout}{said.stderr}")
    check_negotiated(met, profile)
    check_packets_both_ways(met)


@contextmanager
def connection_of(profile: TunnelProfile, met: Encounter) -> Iterator[None]:
    """Give the gateway the connection that `profile` renders, for the length of the block; its user data stays."""
    before = on_gateway(met.gateway, f"cat {_CONNECTION_FILE}")
    document = gateway_document(_end(met.gateway), _end(met.replaced), profile)
    try:
        _load(met.gateway, installed_files(document)[_CONNECTION_FILE])
        yield
    finally:
        _load(met.gateway, before)


def _load(site: Site, text: str) -> None:
    on_gateway(site, f"cat >{_CONNECTION_FILE}; systemctl restart ipsec", stdin=text)
    on_gateway(
        site, f"for _ in $(seq 60); do ipsec status | grep -q '\"{site.connection}\"' && exit; sleep 0.5; done; exit 1"
    )


def _end(site: Site) -> End:
    return End(site=site.name, public_ip=site.public_ip, private_ip=site.gateway_ip, cidr_blocks=(str(site.network),))
