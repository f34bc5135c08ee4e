"""The marked stream, between two namespaces with a wire between them. Needs root; leaves nothing behind."""

import os
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Network

import pytest

from tests.scenarios import endpoint, outages
from tests.scenarios.gateway import Gateway, PrivateHost, wait_until
from tests.scenarios.scenario import BOTH_SEND
from tests.scenarios.sites import Pair, Site
from tests.scenarios.stream import IN_FLIGHT_SECONDS, WAYS, Stream, Way


def site(name: str, address: str) -> Site:
    gateway = Gateway(**dict.fromkeys(Gateway.__dataclass_fields__, ""))
    host = dict.fromkeys(PrivateHost.__dataclass_fields__, "") | {
        "name": f"{name}-private",
        "namespace": f"t-{name}-{os.getpid()}",
        "private_ip": address,
    }
    network = IPv4Network("192.0.2.0/24")
    return Site(name=name, network=network, gateway=gateway, private_host=PrivateHost(**host))


@pytest.fixture
def wire() -> Iterator[Pair]:
    pair = Pair(site("uk", "192.0.2.1"), site("au", "192.0.2.2"))
    spaces = [one.private_host.namespace for one in pair.sites]
    for space in spaces:
        subprocess.run(["ip", "netns", "add", space], check=True)
    veth = ["ip", "-n", spaces[0], "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", spaces[1]]
    subprocess.run(veth, check=True)
    for one in pair.sites:
        inside = ["ip", "-n", one.private_host.namespace]
        subprocess.run([*inside, "address", "add", f"{one.private_host.private_ip}/24", "dev", "wire"], check=True)
        subprocess.run([*inside, "link", "set", "wire", "up"], check=True)
    yield pair
    for space in spaces:
        subprocess.run(["ip", "netns", "del", space], check=True)


def arrive(stream: Stream, since: float) -> None:
    """Wait until 25 packets in a row of each kind, sent since a moment, have arrived in each direction."""

    def have_arrived(way: Way, kind: str) -> bool:
        ago = time.time() - IN_FLIGHT_SECONDS
        sent = outages.between(stream.crossings(way, since, kind=kind), since, ago)[-25:]
        return len(sent) == 25 and all(packet.received for packet in sent)

    for way in WAYS:
        for kind in endpoint.KINDS:
            wait_until(f"{kind} crosses from {way}", partial(have_arrived, way, kind), 300)


def test_every_kind_crosses_both_ways_and_what_the_wire_loses_is_reported(wire: Pair) -> None:
    with Stream(wire) as stream:
        stream.send(BOTH_SEND)
        arrive(stream, time.time())
        # The link itself taken down would keep the packets in a queue, and deliver them.
        inside = ["ip", "netns", "exec", wire.uk.private_host.namespace, "nft"]
        hook = "type filter hook {0} priority 0; policy drop;"
        chains = "".join(f"chain {name} {{ {hook.format(name)} }}; " for name in ("input", "output"))
        subprocess.run([*inside, f"table ip cut {{ {chains} }}"], check=True)
        cut = time.time()
        time.sleep(1)
        uncut = time.time()
        subprocess.run([*inside, "delete table ip cut"], check=True)
        mended = time.time()
        arrive(stream, mended)
        for way in WAYS:
            crossings = stream.crossings(way, 0)
            lost = outages.between(crossings, cut, uncut)
            assert lost, way
            assert not [packet for packet in lost if packet.received], way
            assert outages.outages(crossings, cut, mended)[0].packets >= len(lost), way
            assert outages.first_arrival_after(crossings, mended) is not None


def test_a_quiet_side_sends_nothing(wire: Pair) -> None:
    with Stream(wire) as stream:
        stream.send({"uk": ["udp"]})
        wait_until("uk sends", lambda: len(stream.crossings(("uk", "au"), 0)) > 25, 300)
        assert not stream.crossings(("au", "uk"), 0)
        assert not stream.crossings(("uk", "au"), 0, kind="icmp")
