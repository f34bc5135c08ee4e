"""Forged packets are well formed, and what the gateway counts is read right."""

from tests.scenarios import spoofing

LISTING = """\
Chain VPN-FORWARD (1 references)
    pkts      bytes target     prot opt in     out     source destination
      17     2244 DROP       0    --  *      *  172.31.0.0/16  0.0.0.0/0  policy match dir in pol none
       5      420 DROP       all  --  *      *  0.0.0.0/0  172.31.0.0/16  policy match dir out pol none
"""


def test_only_what_was_dropped_by_its_source_is_counted() -> None:
    assert spoofing.count(LISTING) == 17
    assert spoofing.count("Chain VPN-INPUT (1 references)\n") == 0


def test_a_forged_packet_has_a_right_checksum_and_its_payload_last() -> None:
    packet = spoofing.datagram("172.31.200.200", "10.1.10.41", b"marker")
    words = [int.from_bytes(packet[place : place + 2], "big") for place in range(0, 20, 2)]
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    assert packet[12:20] == bytes([172, 31, 200, 200, 10, 1, 10, 41])
    assert packet.endswith(b"marker")
    assert int.from_bytes(packet[2:4], "big") == len(packet)
