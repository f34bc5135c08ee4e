"""Cloud-config -> what EC2 takes. cloud-init unpacks gzip (https://docs.cloud-init.io/en/latest/explanation/format.html)."""

import base64
import struct
import zlib
from typing import Final

_WHOLE: Final = 9
"""zlib's memLevel: a block holds 32 K symbols, more than any user data."""


def encode_user_data(text: str) -> str:
    """Return ASCII text as base64 (RFC 4648) of gzip: what `user_data_base64` of an instance takes."""
    return base64.b64encode(gzipped(text)).decode()


def gzipped(text: str) -> bytes:
    """Return ASCII text as gzip (RFC 1952), the same bytes for the same text everywhere.

    Huffman coding in one block and nothing else: what it has to shorten is base85 of bzip2, without repetitions to be
    found. Searching for them is where zlib's implementations differ, and other bytes would replace the gateways.
    """
    data = text.encode("ascii")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, _WHOLE, zlib.Z_HUFFMAN_ONLY)
    # No name, no time, and of no known operating system.
    header = struct.pack("<4BL2B", 0x1F, 0x8B, 8, 0, 0, 0, 0xFF)
    return header + deflate.compress(data) + deflate.flush() + struct.pack("<2L", zlib.crc32(data), len(data))
