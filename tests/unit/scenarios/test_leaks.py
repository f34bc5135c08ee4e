"""The judge of captures finds each leak, in files made by hand."""

import socket
import struct
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.scenarios import captures
from tests.scenarios.gateway import Gateway, PrivateHost
from tests.scenarios.sites import Pair, Site

MARKER = b"tunnel-faults-0123456789abcdef"
UK_EIP, AU_EIP, WEB = "198.51.100.1", "198.51.100.129", "198.18.0.80"
UK_HOST, AU_HOST = "10.1.10.41", "172.31.200.200"


def site(name: str, network: str, public_ip: str) -> Site:
    gateway = dict.fromkeys(Gateway.__dataclass_fields__, "") | {"name": f"{name}-gateway", "public_ip": public_ip}
    host = dict.fromkeys(PrivateHost.__dataclass_fields__, "")
    return Site(name=name, network=IPv4Network(network), gateway=Gateway(**gateway), private_host=PrivateHost(**host))


PAIR = Pair(site("uk", "10.1.0.0/16", UK_EIP), site("au", "172.31.0.0/16", AU_EIP))


def udp(source: str, to: str, port: int, payload: bytes = b"sealed") -> bytes:
    """Return an Ethernet frame with a UDP datagram."""
    datagram = struct.pack("!4H", 40000, port, 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(source) + socket.inet_aton(to)
    header = struct.pack("!2B3H2BH", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0) + addresses
    return bytes(12) + b"\x08\x00" + header + datagram


def unreachable(source: str, to: str, about: bytes) -> bytes:
    """Return an Ethernet frame with an ICMP `port unreachable` that quotes the packet of another frame."""
    message = struct.pack("!BBHI", 3, 3, 0, 0) + about[14:]
    header = struct.pack("!2B3H2BH", 0x45, 0, 20 + len(message), 0, 0, 64, 1, 0)
    return bytes(12) + b"\x08\x00" + header + socket.inet_aton(source) + socket.inet_aton(to) + message


def written(folder: Path, *frames: bytes) -> list[Path]:
    """Write a capture file (pcap(3PCAP)); the frames are of the seconds 1000, 1001 and so on."""
    path = folder / "made.pcap"
    text = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, frame in enumerate(frames):
        text += struct.pack("<IIII", 1000 + number, 500000, len(frame), len(frame)) + frame
    path.write_bytes(text)
    return [path]


def test_ike_esp_and_ordinary_traffic_of_the_gateways_are_fine_in_the_internet(tmp_path: Path) -> None:
    frames = [udp(UK_EIP, AU_EIP, 500), udp(AU_EIP, UK_EIP, 4500), udp(UK_EIP, WEB, 80), udp(WEB, AU_EIP, 80)]
    assert captures.judge(written(tmp_path, *frames), captures.internet(PAIR), MARKER) == []


def test_a_gateway_may_tell_the_other_that_nobody_takes_its_ike_or_esp(tmp_path: Path) -> None:
    frames = [unreachable(AU_EIP, UK_EIP, udp(UK_EIP, AU_EIP, port)) for port in (500, 4500)]
    assert captures.judge(written(tmp_path, *frames), captures.internet(PAIR), MARKER) == []


@pytest.mark.parametrize(
    ("frame", "rule"),
    [
        (udp(UK_HOST, WEB, 80), "a private source on the Internet"),
        (udp(UK_EIP, AU_HOST, 7401), "a private destination on the Internet"),
        (udp(UK_EIP, AU_EIP, 7401), "not UDP 500/4500 between the Elastic IPs"),
        (unreachable(UK_EIP, AU_EIP, udp(AU_EIP, UK_EIP, 7401)), "not UDP 500/4500 between the Elastic IPs"),
        (unreachable(UK_EIP, AU_EIP, udp(AU_EIP, UK_EIP, 4500, MARKER)), "the marker in the clear"),
        (udp(UK_EIP, AU_EIP, 4500, MARKER), "the marker in the clear"),
    ],
)
def test_each_leak_in_the_internet_is_found_with_its_time_and_packet(tmp_path: Path, frame: bytes, rule: str) -> None:
    files = written(tmp_path, udp(UK_EIP, AU_EIP, 500), frame)
    (leak,) = captures.judge(files, captures.internet(PAIR), MARKER)
    assert (leak.rule, leak.at) == (rule, 1001.5)
    assert "IP " in leak.packet


def test_plain_text_at_a_gateways_port_is_a_leak_though_the_internet_never_sees_it(tmp_path: Path) -> None:
    files = written(tmp_path, udp("10.1.1.254", AU_EIP, 4500), udp("10.1.1.254", AU_HOST, 7401))
    (leak,) = captures.judge(files, captures.gateway_port(PAIR, "uk"), MARKER)
    assert leak.rule == "plain text for the other side leaves the gateway"
    (marked,) = captures.judge(
        written(tmp_path, udp(UK_HOST, WEB, 7401, MARKER)), captures.gateway_port(PAIR, "uk"), MARKER
    )
    assert marked.rule == "the marker in the clear"


def test_a_file_that_ends_in_the_middle_of_a_packet_is_judged_up_to_there(tmp_path: Path) -> None:
    (path,) = written(tmp_path, udp(UK_HOST, WEB, 80), udp(UK_HOST, WEB, 80))
    path.write_bytes(path.read_bytes()[:-3])
    assert len(captures.judge([path], captures.internet(PAIR), MARKER)) == 1
