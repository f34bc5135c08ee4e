"""The arithmetic of lost traffic."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.scenarios import outages
from tests.scenarios.outages import Crossing, Outage
from tests.scenarios.stream import Journal


def flow(pattern: str, *, every: float = 1.0) -> list[Crossing]:
    """Return a flow of one packet each `every` seconds from 100 on: `.` arrived half an interval later, `x` did not."""
    sent = [100 + place * every for place in range(len(pattern))]
    return [
        Crossing(place + 1, at, at + every / 2 if mark == "." else None)
        for place, (at, mark) in enumerate(zip(sent, pattern, strict=True))
    ]


def test_an_outage_lasts_from_the_first_lost_packet_to_the_next_that_arrives() -> None:
    assert outages.outages(flow("..xxx.."), 100, 107) == [Outage(start=102, seconds=3, packets=3)]


def test_an_outage_that_goes_on_lasts_until_the_end_of_what_is_looked_at() -> None:
    assert outages.outages(flow("..xx"), 100, 110) == [Outage(start=102, seconds=8, packets=2)]


def test_what_was_sent_before_and_after_is_not_looked_at() -> None:
    assert outages.outages(flow("x...x"), 101, 104) == []


def test_each_run_of_lost_packets_is_an_outage_of_its_own() -> None:
    gaps = outages.outages(flow(".x..xx.", every=0.5), 100, 104)
    assert [(outage.start, outage.seconds, outage.packets) for outage in gaps] == [(100.5, 0.5, 1), (102, 1, 2)]
    assert outages.lost_seconds(gaps) == 1.5


def test_a_pause_of_the_sender_is_no_outage() -> None:
    crossings = [Crossing(1, 100, 100.1), Crossing(2, 160, 160.1)]
    assert outages.outages(crossings, 100, 170) == []


def test_healing_is_counted_from_the_causes_end_to_the_end_of_the_last_outage() -> None:
    gaps = outages.outages(flow(".xx..x."), 100, 107)
    assert outages.healed_after(gaps, 102) == 4
    assert outages.healed_after(gaps, 106.5) == 0
    assert outages.healed_after([], 102) == 0


def test_the_first_arrival_counts_only_packets_sent_since() -> None:
    assert outages.first_arrival_after(flow("..xx."), 101.5) == 3.0
    assert outages.first_arrival_after(flow("..xx"), 101.5) is None


def test_steady_means_enough_packets_and_none_lost() -> None:
    assert outages.is_steady(flow("x...."), 101, 105, packets=4)
    assert not outages.is_steady(flow("x...."), 100, 105, packets=4)
    assert not outages.is_steady(flow("....."), 101, 105, packets=5)
    assert not outages.is_steady([], 101, 105, packets=1)


@given(st.text(alphabet=".x", max_size=60))
def test_every_lost_packet_is_in_exactly_one_outage(pattern: str) -> None:
    gaps = outages.outages(flow(pattern), 100, 100 + len(pattern))
    assert sum(outage.packets for outage in gaps) == pattern.count("x")
    assert outages.lost_seconds(gaps) == pattern.count("x")
    assert all(earlier.end < later.start for earlier, later in pairwise(gaps))


def test_a_journal_keeps_the_first_arrival_of_a_packet_that_comes_twice() -> None:
    sender, receiver = Journal(), Journal()
    sender.read(["sent udp 1 100.0\n", "sent udp 2 100.5\n", "sent icmp 1 100.5\n"])
    receiver.read(["received udp 2 100.75\n", "received udp 2 101.0\n"])
    assert outages.join(sender.sent["udp"], receiver.received["udp"]) == [
        Crossing(1, 100.0, None),
        Crossing(2, 100.5, 100.75),
    ]


def test_what_a_queue_kept_for_longer_than_a_second_was_lost() -> None:
    assert outages.join([(1, 100.0), (2, 100.5)], {1: 101.5, 2: 101.5}) == [
        Crossing(1, 100.0, None),
        Crossing(2, 100.5, 101.5),
    ]
