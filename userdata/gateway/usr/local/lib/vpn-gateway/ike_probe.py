"""Asks an address whether an IKE daemon answers: a UDP socket, no process."""

import os
import socket


def probe(address: str, port: int, seconds: float = 1.0) -> str:
    """Return `answers`, `refused` (a machine, but no daemon) or `silent`, after `seconds` at most; port 500 or 4500.

    Asks three times with IKE's major version 3, which does not exist: RFC 7296, 2.5, requires an answer outside of any
    SA. Libreswan keeps no state for it. On port 4500 the message starts with the marker of RFC 3948, 2.2.
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
