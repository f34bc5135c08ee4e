"""Ask a machine for its MAC address, as the VPC's router does before it sends the machine a packet (RFC 826)."""

import socket
import struct
import time
from ipaddress import IPv4Address
from typing import Final

from lab.network.sockets import call_in

_ETH_P_ARP: Final = 0x0806
_ETHERNET: Final = struct.Struct("!6s6sH")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
_REQUEST, _REPLY = 1, 2
_ATTEMPTS: Final = 3
_SECONDS: Final = 1.0
"""How long an answer to one request may take."""


def answers(namespace: str, interface: str, router: IPv4Address, target: IPv4Address) -> bool:
    """Return whether a machine answers on an interface of its VPC's namespace.

    False also if there is no such namespace or interface, or if nothing is connected to it.
    """
    try:
        return call_in(namespace, lambda: _ask(interface, router, target))
    except OSError:
        return False


def request(mac_address: bytes, router: IPv4Address, target: IPv4Address) -> bytes:
    """Return the Ethernet frame that asks for the address of `target`."""
    ethernet = _ETHERNET.pack(b"\xff" * 6, mac_address, _ETH_P_ARP)
    return ethernet + _ARP.pack(1, 0x0800, 6, 4, _REQUEST, mac_address, router.packed, bytes(6), target.packed)


def is_reply(frame: bytes, target: IPv4Address) -> bool:
    """Return whether a frame is an answer of `target`."""
    if len(frame) < _ETHERNET.size + _ARP.size:
        return False
    fields = _ARP.unpack_from(frame, _ETHERNET.size)
    return bool(fields[4] == _REPLY and fields[6] == target.packed)


def _ask(interface: str, router: IPv4Address, target: IPv4Address) -> bool:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP)) as link:
        link.bind((interface, _ETH_P_ARP))
        frame = request(link.getsockname()[4], router, target)
        for _ in range(_ATTEMPTS):
            link.send(frame)
            if _hears_reply(link, target):
                return True
    return False


def _hears_reply(link: socket.socket, target: IPv4Address) -> bool:
    deadline = time.monotonic() + _SECONDS
    while (left := deadline - time.monotonic()) > 0:
        link.settimeout(left)
        try:
            if is_reply(link.recv(2048), target):
                return True
        except TimeoutError:
            return False
    return False
