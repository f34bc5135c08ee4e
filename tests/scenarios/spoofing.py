"""Packets with a forged source, and the counters of the gateway's drop rules."""

import re
import socket
import struct
from typing import Final

from lab.network.sockets import call_in
from tests.scenarios.checksum import checksum
from tests.scenarios.gateway import Gateway

PORT: Final = 7404

_PROTOCOL = 17
_ETHERNET_IPV4 = b"\x08\x00"
# A locally administered address, which no interface has.
_SOURCE_MAC = bytes.fromhex("020000000001")
_DROP = re.compile(r"^\s*(\d+)\s+\d+\s+DROP\s.*?\s(\S+/\d+|0\.0\.0\.0/0)\s+(\S+/\d+|0\.0\.0\.0/0)\s.*pol none", re.M)


def datagram(source: str, to: str, payload: bytes) -> bytes:
    """Return an IPv4 packet (RFC 791) with a UDP datagram (RFC 768), without the optional checksum."""
    body = struct.pack("!4H", PORT, PORT, 8 + len(payload), 0) + payload
    addresses = socket.inet_aton(source) + socket.inet_aton(to)
    header = struct.pack("!2B3H2BH", 0x45, 0, 20 + len(body), 0, 0, 64, _PROTOCOL, 0) + addresses
    return header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body


def send(namespace: str, packet: bytes, to: str) -> None:
    """Send a packet unchanged from a namespace, by that namespace's routes."""

    def put() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as link:
            link.sendto(packet, (to, 0))

    call_in(namespace, put)


def send_on_wire(namespace: str, interface: str, mac_address: str, packet: bytes) -> None:
    """Put a packet onto an interface of a namespace, past all its routes and rules, addressed to `mac_address`."""

    def put() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind((interface, 0))
            link.send(bytes.fromhex(mac_address.replace(":", "")) + _SOURCE_MAC + _ETHERNET_IPV4 + packet)

    call_in(namespace, put)


def dropped(gateway: Gateway, chain: str) -> int:
    """Return how many packets with the peer's source, but without IPsec, a chain of the gateway has dropped."""
    return count(gateway.run(f"iptables -w -nvxL {chain}"))


def count(listing: str) -> int:
    """Return the packets of all rules in `iptables -nvxL` that drop a source without IPsec."""
    return sum(int(packets) for packets, source, _ in _DROP.findall(listing) if source != "0.0.0.0/0")
