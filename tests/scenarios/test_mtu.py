"""9001 bytes inside the VPCs, 1500 between them: large packets and long transfers cross the tunnel both ways.

Proves that the tunnel's MTU, the refusals that tell it and the clamped segments fit together, on the lab's links. Does
not prove AWS's own paths between regions (documented as 1500) nor any throughput: the gateways are emulated.
"""

from collections.abc import Callable

import pytest

from components.decisions.tunnel import TCP_MSS, TUNNEL_MTU
from lab import settings
from lab.capture import capturing
from tests.scenarios import mtu
from tests.scenarios.sites import Pair

pytestmark = pytest.mark.timeout(900)

WAYS = pytest.mark.parametrize(("sender", "receiver"), [("uk", "au"), ("au", "uk")])
_OWN_MSS = settings.INTERNAL_MTU - 40


@WAYS
def test_a_packet_of_the_tunnels_mtu_crosses_in_one_piece(pair: Pair, sender: str, receiver: str) -> None:
    output = mtu.ping(pair.site(sender), pair.site(receiver).private_host.private_ip, TUNNEL_MTU)
    assert mtu.replies(output) == 3, output


@WAYS
def test_one_byte_more_is_refused_by_the_gateway_which_tells_the_mtu(pair: Pair, sender: str, receiver: str) -> None:
    site = pair.site(sender)
    output = mtu.ping(site, pair.site(receiver).private_host.private_ip, TUNNEL_MTU + 1)
    assert mtu.replies(output) == 0, output
    assert mtu.refusal(output) == mtu.Refusal(site.gateway.private_ip, TUNNEL_MTU), output


@WAYS
def test_a_large_packet_that_may_be_fragmented_crosses(pair: Pair, sender: str, receiver: str) -> None:
    output = mtu.ping(pair.site(sender), pair.site(receiver).private_host.private_ip, 4000, may_fragment=True)
    assert mtu.replies(output) == 3, output


@pytest.mark.parametrize("name", ["uk", "au"])
def test_a_jumbo_packet_reaches_the_gateway_and_the_internet_takes_1500(pair: Pair, name: str) -> None:
    site = pair.site(name)
    assert mtu.replies(mtu.ping(site, site.gateway.private_ip, settings.INTERNAL_MTU)) == 3
    assert mtu.replies(mtu.ping(site, str(settings.WEB_SERVER), settings.EXTERNAL_MTU)) == 3
    # "dropped if the Don't Fragment flag is set" (Amazon EC2 user guide, "Network MTU for your EC2 instance").
    assert mtu.replies(mtu.ping(site, str(settings.WEB_SERVER), settings.EXTERNAL_MTU + 1)) == 0


@WAYS
def test_the_syns_of_both_ends_arrive_with_the_clamped_segment_size(pair: Pair, sender: str, receiver: str) -> None:
    ends = pair.site(sender), pair.site(receiver)
    syns = [f"tcp port {mtu.PORT} and tcp[tcpflags] & tcp-syn != 0"]
    with (
        capturing(ends[0].private_host.name, syns) as at_the_sender,
        capturing(ends[1].private_host.name, syns) as at_the_receiver,
    ):
        mtu.transfer(*ends, count=1000)
    there, back = (f"{a.private_host.private_ip} > {b.private_host.private_ip}" for a, b in (ends, ends[::-1]))
    # Each end asks for what its own link takes; the gateways make it what the tunnel takes.
    assert mtu.segment_sizes(at_the_sender) == {there: {_OWN_MSS}, back: {TCP_MSS}}
    assert mtu.segment_sizes(at_the_receiver) == {there: {TCP_MSS}, back: {_OWN_MSS}}


@WAYS
def test_a_hundred_megabytes_arrive_as_they_were_sent(
    pair: Pair, sender: str, receiver: str, record_property: Callable[[str, object], None]
) -> None:
    done = mtu.transfer(pair.site(sender), pair.site(receiver))
    record_property("seconds", f"{done.seconds:.1f}")
    print(f"\n{sender} -> {receiver}: 100 MB in {done.seconds:.1f} s, {done.megabits_per_second:.0f} Mbit/s")
    assert done.sent.startswith(f"{mtu.TRANSFER_BYTES} ")
    assert done.received == done.sent
