"""Parsing the output of ping and tcpdump for tests/scenarios/test_mtu.py."""

from lab.capture import Capture
from tests.scenarios import mtu

REFUSED = """\
PING 172.31.200.200 (172.31.200.200) 1373(1401) bytes of data.
From 10.1.1.254 icmp_seq=1 Frag needed and DF set (mtu = 1400)
ping: local error: message too long, mtu=1400

--- 172.31.200.200 ping statistics ---
2 packets transmitted, 0 received, +2 errors, 100% packet loss, time 301ms
"""
ANSWERED = """\
PING 172.31.200.200 (172.31.200.200) 1372(1400) bytes of data.
1380 bytes from 172.31.200.200: icmp_seq=1 ttl=62 time=5.10 ms

--- 172.31.200.200 ping statistics ---
3 packets transmitted, 1 received, 66% packet loss, time 612ms
"""
SYNS = """\
listening on ens5, link-type EN10MB (Ethernet), snapshot length 262144 bytes
13:20:12.420519 IP 10.1.10.41.40122 > 172.31.200.200.7501: Flags [S], seq 1, win 62727, options [mss 1360,sackOK,TS val 1 ecr 0,nop,wscale 7], length 0
13:20:12.420552 IP 172.31.200.200.7501 > 10.1.10.41.40122: Flags [S.], seq 9, ack 2, win 62643, options [mss 8961,sackOK,TS val 2 ecr 1,nop,wscale 7], length 0
13:20:12.420600 IP 10.1.10.41.40122 > 172.31.200.200.7501: Flags [.], ack 10, win 491, options [nop,nop,TS val 3 ecr 2], length 0
"""  # noqa: E501 - as tcpdump prints them


def test_a_refusal_names_the_router_and_the_mtu() -> None:
    assert mtu.refusal(REFUSED) == mtu.Refusal("10.1.1.254", 1400)
    assert mtu.replies(REFUSED) == 0


def test_an_answer_is_no_refusal() -> None:
    assert mtu.refusal(ANSWERED) is None
    assert mtu.replies(ANSWERED) == 1


def test_only_the_senders_own_routing_table_is_no_router() -> None:
    assert mtu.refusal("ping: local error: message too long, mtu=1400\n") is None


def test_the_segment_size_is_read_from_the_syns_of_each_direction() -> None:
    assert mtu.segment_sizes(Capture("au-private", SYNS)) == {
        "10.1.10.41 > 172.31.200.200": {1360},
        "172.31.200.200 > 10.1.10.41": {8961},
    }
