"""The checksum of the Internet protocols (RFC 1071)."""

import struct


def checksum(data: bytes) -> int:
    """Return the checksum of some bytes in which the checksum's own place is zero."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF
