"""The echoes with which the gateway's programs look at a tunnel: what happens when the kernel refuses to send one."""

from typing import Any

import pytest

from icmp import Echoes


class _Raw:
    """A raw socket that records what it is asked for."""

    def __init__(self, *_: Any) -> None:
        self.asked: list[str] = []
        self.refuses = False

    def bind(self, _: tuple[str, int]) -> None: ...

    def setsockopt(self, *_: int) -> None: ...

    def connect(self, address: tuple[str, int]) -> None:
        if self.refuses:
            # Seen in a first boot: pluto blocks what goes to the peer until there is an SA.
            raise PermissionError(1, "Operation not permitted")
        self.asked.append(f"connect {address[0]}")

    def sendto(self, _: bytes, address: tuple[str, int]) -> None:
        self.asked.append(f"send to {address[0]}")


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> _Raw:
    """Give the socket that the next Echoes opens."""
    made = _Raw()
    monkeypatch.setattr("icmp.socket.socket", lambda *_: made)
    return made


def test_while_pluto_blocks_the_peer_no_echo_is_sent_and_the_next_one_is(raw: _Raw) -> None:
    raw.refuses = True
    echoes = Echoes("10.1.1.254", "172.31.12.198", only_target=True)
    echoes.send(0)
    assert raw.asked == []
    raw.refuses = False
    echoes.send(1)
    assert raw.asked == ["connect 172.31.12.198", "send to 172.31.12.198"]


def test_without_only_target_the_socket_hears_all(raw: _Raw) -> None:
    Echoes("10.1.1.254", "172.31.12.198", only_target=False).send(0)
    assert raw.asked == ["send to 172.31.12.198"]
