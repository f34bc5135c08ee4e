"""The recorder of captures on an interface that comes and goes. Leaves nothing behind."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.network.sockets import call_in
from tests.scenarios import captures
from tests.scenarios.captures import Place, Recorder, Rule

MARKER = b"tunnel-faults-0123456789abcdef"
ENOUGH_BYTES = 2000
"""Of a file of pcap: twenty packets with the marker, and its head."""


@pytest.fixture
def space() -> Iterator[str]:
    name = f"t-capture-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def test_a_recorder_follows_an_interface_that_goes_and_comes_back(space: str, tmp_path: Path) -> None:
    other = f"{space}-other"
    subprocess.run(["ip", "netns", "add", other], check=True)
    place = Place("port", space, "port", "udp", (Rule("any", "udp"),))
    recorder = Recorder(place, tmp_path)
    try:
        recorder.start()
        for number in range(2):
            time.sleep(0.5)
            pair = ["link", "add", "port", "type", "veth", "peer", "name", "wire", "netns", other]
            subprocess.run(["ip", "-n", space, *pair], check=True)
            subprocess.run(["ip", "-n", space, "link", "set", "port", "up"], check=True)
            subprocess.run(["ip", "-n", other, "address", "add", "192.0.2.1/24", "dev", "wire"], check=True)
            subprocess.run(["ip", "-n", other, "link", "set", "wire", "up"], check=True)
            subprocess.run(
                ["ip", "-n", other, "neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "wire"],
                check=True,
            )
            link = call_in(other, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            deadline = time.monotonic() + 20
            file = tmp_path / f"port-{number}.pcap"
            while not file.exists() or file.stat().st_size < ENOUGH_BYTES:
                assert time.monotonic() < deadline, "nothing is recorded"
                link.sendto(MARKER, ("192.0.2.2", 9))
                time.sleep(0.05)
            link.close()
            subprocess.run(["ip", "-n", space, "link", "del", "port"], check=True)
    finally:
        recorder.stop()
        subprocess.run(["ip", "netns", "del", other], check=True)
    assert recorder.problem == ""
    assert recorder.dropped == 0
    assert len(recorder.files) == 2
    for file in recorder.files:
        found = captures.judge([file], place, MARKER)
        assert {violation.rule for violation in found} == {"any", "the marker in the clear"}
    assert recorder.seen >= 2 * ENOUGH_BYTES // 100
