"""What a crowd sends is of other connections each time, and what a gateway shows of its memory is read right."""

import socket
from contextlib import nullcontext
from itertools import islice, pairwise
from types import SimpleNamespace

import pytest

from tests.scenarios import crowd_endpoint, samples, services
from tests.scenarios.checksum import checksum
from tests.scenarios.crowd_endpoint import syns
from tests.scenarios.samples import Sample

ADJUSTMENTS = """\
    0 systemd
-1000 systemd-udevd
 -900 dbus-daemon
 -900 pluto
    0 (sd-pam) of one
  500 python3
"""


def test_a_syn_is_of_another_connection_than_those_before_it() -> None:
    ports = {segment[:4] for segment in islice(syns("10.1.10.41", "198.51.100.254"), 20_000)}
    assert len(ports) == 20_000


def test_a_syn_has_a_right_checksum() -> None:
    source, to = "10.1.10.41", "198.51.100.254"
    segment = next(syns(source, to))
    head = socket.inet_aton(source) + socket.inet_aton(to) + b"\0\6" + len(segment).to_bytes(2, "big")
    assert checksum(head + segment) == 0
    assert segment[13] == 2


class Machine:
    """A clock, on which each look takes a moment, and a socket that once stalls for a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[float] = []

    def monotonic(self) -> float:
        """Return the time."""
        self.now += 0.0001
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait."""
        assert seconds >= 0
        self.now += seconds

    def sendto(self, _segment: bytes, _to: tuple[str, int]) -> None:
        """Send, and stall at the tenth time."""
        self.sent.append(self.now)
        self.now += 1.0 if len(self.sent) == 10 else 0.0


def test_a_crowd_does_not_catch_up_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    link = SimpleNamespace(bind=lambda _: None, sendto=machine.sendto)
    monkeypatch.setattr(socket, "socket", lambda *_: nullcontext(link))
    monkeypatch.setattr(crowd_endpoint, "time", machine)
    crowd_endpoint.send([b""] * 30, "10.1.10.41", "198.51.100.254", 100)
    gaps = [later - earlier for earlier, later in pairwise(machine.sent)]
    assert len(gaps) == 29
    assert min(gaps) == pytest.approx(1 / 100, rel=0.1)
    assert sorted(gaps)[-2] == pytest.approx(1 / 100, rel=0.1)


def test_a_sample_is_two_lines_and_one_that_was_cut_off_is_none() -> None:
    text = "812\nMemAvailable:     201348 kB\n57856\nMemAvailable:      98304 kB\n57860\nMemAvailable:      98"
    assert samples.parse(text) == [Sample(812, 201348), Sample(57856, 98304)]


def test_what_the_kernel_spares_as_much_as_a_program_is_named() -> None:
    assert services.kept_as_long_as("pluto", ADJUSTMENTS) == {"systemd-udevd", "dbus-daemon"}
    assert services.kept_as_long_as("systemd-udevd", ADJUSTMENTS) == set()
    with pytest.raises(ValueError, match="empty"):
        services.kept_as_long_as("pluto", "0 systemd\n")
