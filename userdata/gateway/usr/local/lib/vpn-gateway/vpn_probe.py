"""Asks an address whether an IKE daemon answers there, or whether echoes come back: sockets, no processes.

Installed beside the programs that import it, as /usr/local/lib/vpn-gateway/vpn_probe.py.
"""

import os
import socket
import struct
import time
from typing import Any


def probe(address: str, port: int, seconds: float = 1.0) -> str:
    """Return `answers`, `refused` (a machine, but no daemon) or `silent`, after `seconds` at most; port 500 or 4500.

    Asks three times with IKE's major version 3, which there is none of: RFC 7296, 2.5, has it answered outside of any
    SA. Libreswan 4.10 and 5.2 do, on both ports and in either profile, before they look at connections, at
    `ikev1-policy` or for a cookie (DDoS mode), keep nothing, and log two lines and one. IKEv1's first message they drop
    in the profile `modern`, and 5.2 drops it too where it has no connection for it; an IKE_SA_INIT is answered, but
    costs a cookie in DDoS mode and may leave a half-open SA. On port 4500 the marker of RFC 3948, 2.2, comes first.
    """
    start = bytes(4 if port == 4500 else 0) + os.urandom(8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(seconds / 3)
        for _ in range(3):
            try:
                peer.connect((address, port))
                # Initiator's SPI; no responder's SPI, no payload, version 3.0, IKE_SA_INIT, initiator, id 0, 28 bytes.
                peer.send(start + bytes.fromhex("0000000000000000 00 30 22 08 00000000 0000001c"))
                if peer.recv(999).startswith(start):
                    return "answers"
            except ConnectionRefusedError:
                return "refused"
            except OSError:
                continue
    return "silent"


def echoes(source: str, target: str, sizes: Any, seconds: float) -> list[int]:
    """Return which of these packets were answered, bytes with the IP header: ICMP echoes (RFC 792), all sent at once.

    They are never fragmented. Waits for answers until all are there, so many seconds at most. Needs root.
    """
    sent, answered, deadline = list(sizes), set[int](), time.monotonic() + seconds
    owner = os.getpid() % 0x8000
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
        link.bind((source, 0))
        # ip(7): IP_MTU_DISCOVER, IP_PMTUDISC_DO.
        link.setsockopt(socket.IPPROTO_IP, 10, 2)
        for number, size in enumerate(sent):
            head = struct.pack("!4H", 0x800, 0xFFFF - 0x800 - owner - number, owner, number)
            try:
                link.sendto(head + bytes(size - 28), (target, 0))
            except OSError:
                # Longer than what the kernel knows of the path; or there is no path.
                continue
        while len(answered) < len(sent) and (left := deadline - time.monotonic()) > 0:
            link.settimeout(left)
            try:
                packet, sender = link.recvfrom(99)
            except OSError:
                continue
            kind, _, process, number = struct.unpack("!4H", packet[20:28])
            if (kind, process, sender[0]) == (0, owner, target):
                answered.add(number)
    return [sent[number] for number in answered]
