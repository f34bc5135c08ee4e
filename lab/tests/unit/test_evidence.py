"""The judgement of the article's test, on real output of ping and tcpdump. The test itself runs in tests/scenarios."""

from lab.capture import Capture
from lab.evidence import Direction, Endpoint, Evidence, judge_direction, judge_internet

AU = Endpoint("au-private", "172.31.200.200", "203.0.113.10")
UK = Endpoint("uk-private", "10.1.10.41", "198.51.100.20")


def ping(ttl: int = 62, received: int = 5) -> str:
    replies = "".join(
        f"64 bytes from 10.1.10.41: icmp_seq={n} ttl={ttl} time=4.{n}1 ms\n" for n in range(1, received + 1)
    )
    loss = f"{100 * (5 - received) / 5:g}"
    return (
        f"PING 10.1.10.41 (10.1.10.41) 56(84) bytes of data.\n{replies}\n--- 10.1.10.41 ping statistics ---\n"
        f"5 packets transmitted, {received} received, {loss}% packet loss, time 4005ms\n"
    )


def on_receiver(sender: str = "172.31.200.200") -> Capture:
    packets = "".join(
        f"13:20:1{n}.420519 IP {sender} > 10.1.10.41: ICMP echo request, id 3631, seq {n}, length 64\n"
        f"13:20:1{n}.420552 IP 10.1.10.41 > {sender}: ICMP echo reply, id 3631, seq {n}, length 64\n"
        for n in range(1, 6)
    )
    return Capture("uk-private", f"listening on ens5, link-type EN10MB (Ethernet)\n{packets}10 packets captured\n")


def encrypted(extra: str = "") -> Capture:
    packets = "".join(
        f"13:20:12.4205{n}9 up0 In  IP 203.0.113.10.4500 > 198.51.100.20.4500: UDP-encap: ESP(spi=0xc0), length 136\n"
        f"13:20:12.4206{n}9 up1 In  IP 198.51.100.20.4500 > 203.0.113.10.4500: UDP-encap: ESP(spi=0xc1), length 136\n"
        for n in range(1, 6)
    )
    return Capture("internet", packets + extra)


def direction_of(text: str, seen: Capture) -> tuple[Direction, list[str]]:
    failures: list[str] = []
    return judge_direction(AU, UK, text, seen, failures), failures


def test_five_replies_with_ttl_62_from_the_senders_own_address_pass() -> None:
    direction, failures = direction_of(ping(), on_receiver())
    assert failures == []
    assert direction.ttls == [62] * 5
    assert direction.round_trip_ms == [4.11, 4.21, 4.31, 4.41, 4.51]
    assert direction.loss_percent == 0


def test_one_lost_ping_fails() -> None:
    _, failures = direction_of(ping(received=4), on_receiver())
    assert "au-private -> uk-private: 4 of 5 pings came back" in failures


def test_a_further_hop_fails() -> None:
    _, failures = direction_of(ping(ttl=61), on_receiver())
    assert failures == ["au-private -> uk-private: ttl [61, 61, 61, 61, 61], not 62 each time"]


def test_a_sender_hidden_behind_nat_fails() -> None:
    _, failures = direction_of(ping(), on_receiver(sender="172.31.12.198"))
    assert failures == ["au-private -> uk-private: uk-private saw 0 requests from 172.31.200.200, not 5"]


def test_encrypted_packets_between_the_elastic_ips_pass() -> None:
    evidence = Evidence()
    judge_internet((AU, UK), encrypted(), evidence)
    assert evidence.failures == []
    assert evidence.internet_packets == 10


def test_one_unencrypted_packet_fails() -> None:
    evidence = Evidence()
    leak = "13:20:13.1 up0 In  IP 172.31.200.200 > 10.1.10.41: ICMP echo request, id 1, seq 1, length 64\n"
    judge_internet((AU, UK), encrypted(leak), evidence)
    assert len(evidence.failures) == 1
    assert "172.31.200.200 > 10.1.10.41" in evidence.failures[0]


def test_another_port_between_the_elastic_ips_fails() -> None:
    evidence = Evidence()
    other = "13:20:13.1 up0 In  IP 203.0.113.10.40000 > 198.51.100.20.22: Flags [S], seq 1, length 0\n"
    judge_internet((AU, UK), encrypted(other), evidence)
    assert len(evidence.failures) == 1


def test_a_silent_internet_fails_in_both_directions() -> None:
    evidence = Evidence()
    judge_internet((AU, UK), Capture("internet", "0 packets captured\n"), evidence)
    assert len(evidence.failures) == 2


def test_two_simultaneous_pings_need_the_packets_of_both() -> None:
    evidence = Evidence()
    judge_internet((AU, UK), encrypted(), evidence, packets=10)
    assert [each.partition(" packets ")[0] for each in evidence.failures] == [
        "the Internet saw fewer than 10 encrypted"
    ] * 2
