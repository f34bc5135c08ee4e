"""ICMP echoes (RFC 792) over a raw socket: no process. Needs CAP_NET_RAW."""

import contextlib
import os
import socket
import struct
import time

HEADERS = 28
"""Bytes of an echo without data: IP header and ICMP header."""

_DONT_FRAGMENT = (socket.IPPROTO_IP, 10, 2)
"""IP_MTU_DISCOVER, IP_PMTUDISC_DO (ip(7)); the socket module has no names for them."""


class Echoes:
    """Numbered echoes from one address to another, which are never fragmented.

    With `only_target` the kernel hands over only what comes from the target. An ICMP error about one packet then makes
    the next `send` fail.
    """

    def __init__(self, source: str, target: str, *, only_target: bool) -> None:
        self.target, self.owner, self.only_target = (target, 0), os.getpid() % 0x10000, only_target
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.bind((source, 0))
        self.socket.setsockopt(*_DONT_FRAGMENT)

    def send(self, number: int, size: int = HEADERS) -> None:
        """Send an echo of so many bytes; one that cannot be sent is one that is not answered."""
        # The checksum's ones' complement is arithmetic modulo 0xFFFF.
        head = struct.pack("!4H", 0x0800, -(0x0800 + self.owner + number) % 0xFFFF, self.owner, number)
        with contextlib.suppress(OSError):
            if self.only_target:
                # Fails while pluto blocks the target.
                self.socket.connect(self.target)
            self.socket.sendto(head + bytes(size - HEADERS), self.target)

    def answer(self, deadline: float) -> int | None:
        """Return the number of the next echo that is answered; None when none is by then (time.monotonic)."""
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                packet, sender = self.socket.recvfrom(99)
                kind, _, owner, number = struct.unpack_from("!4H", packet, packet[0] % 16 * 4)
            except (OSError, struct.error):
                continue
            if (kind, owner, sender) == (0, self.owner, self.target):
                return int(number)
        return None
