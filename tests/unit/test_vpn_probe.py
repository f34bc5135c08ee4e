"""The question whether an IKE daemon answers, put to real ones of both releases and to sockets of our own."""

import os
import socket
import threading
import time

import pytest

from components.tunnel import TunnelProfile
from tests.unit import pluto
from tests.unit.gateway_documents import UK, gateway_document
from userdata.gateway.vpn_probe import probe

ASK = f"""
    ask() {{
        at_peer python3 -c "
import sys; sys.path.insert(0, '/usr/local/lib/vpn-gateway')
from vpn_probe import probe
for port in 500, 4500: print(probe('{UK.private_ip}', port))"
    }}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="Libreswan runs in a chroot: needs root")
@pytest.mark.parametrize("release", ["debian-12", "debian-13"])
@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_pluto_answers_on_both_ports_and_keeps_nothing_also_under_attack(release: str, profile: TunnelProfile) -> None:
    script = """
        start_pluto
        lines=$(wc -l </run/pluto.log)
        ask
        ipsec whack --ddos-busy >/dev/null
        ask
        ipsec status | grep -c '^\\(000 \\)\\?IKE SAs: total(0), half-open(0)'
        tail -n +$((lines + 1)) /run/pluto.log | grep -c 'packet from'
        kill $pluto; wait $pluto || true
        ask
    """
    done = pluto.run(release, ASK + script, gateway_document(profile=profile))
    *up, states, logged, one, other = done.stdout.split()
    assert (up, states) == (["answers"] * 4, "1"), done.stdout + done.stderr
    assert int(logged) <= 8
    assert (one, other) == ("refused", "refused")


class Peer(threading.Thread):
    """A UDP socket on loopback that answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: bytes | None) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]
        self.answers, self.asked = answers, list[bytes]()
        self.start()

    def run(self) -> None:
        """Answer each message by the next answer."""
        for answer in self.answers:
            message, sender = self.socket.recvfrom(999)
            self.asked.append(message)
            if answer is not None:
                self.socket.sendto(answer.replace(b"SPI", message[:8]), sender)


def test_one_lost_message_is_not_silence() -> None:
    peer = Peer(None, b"SPI, then whatever")
    assert probe("127.0.0.1", peer.port, 0.6) == "answers"
    assert peer.asked[0] == peer.asked[1]
    assert (len(peer.asked[0]), peer.asked[0][8:16], peer.asked[0][17]) == (28, bytes(8), 0x30)


def test_an_answer_to_another_question_is_none() -> None:
    assert probe("127.0.0.1", Peer(*[b"other SPI"] * 3).port, 0.3) == "silent"


def test_silence_takes_as_long_as_it_may_and_no_longer() -> None:
    began = time.monotonic()
    assert probe("127.0.0.1", Peer(None, None, None).port, 0.3) == "silent"
    assert 0.29 <= time.monotonic() - began < 0.6


def test_a_port_that_nobody_has_is_refused_at_once() -> None:
    closed = Peer()
    closed.socket.close()
    began = time.monotonic()
    assert probe("127.0.0.1", closed.port, 3) == "refused"
    assert time.monotonic() - began < 1


def test_an_address_that_cannot_be_sent_to_is_silent() -> None:
    assert probe("255.255.255.255", 500, 0.3) == "silent"
