"""The question whether an IKE daemon answers, put to sockets of our own; real daemons: tests/tools."""

import socket
import threading
import time

from ike_probe import probe


class Peer(threading.Thread):
    """A UDP socket on loopback that sends fixed answers and records the requests."""

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


def test_silence_takes_as_long_as_it_may() -> None:
    began = time.monotonic()
    assert probe("127.0.0.1", Peer(None, None, None).port, 0.3) == "silent"
    assert time.monotonic() - began >= 0.29


def test_a_port_that_nobody_has_is_refused_at_once() -> None:
    closed = Peer()
    closed.socket.close()
    began = time.monotonic()
    assert probe("127.0.0.1", closed.port, 30) == "refused"
    assert time.monotonic() - began < 30, "it has waited for an answer"


def test_an_address_that_cannot_be_sent_to_is_silent() -> None:
    assert probe("255.255.255.255", 500, 0.3) == "silent"
