"""Has the kernel load the ciphers of a connection while the present SAs still carry packets.

Otherwise the first SA with them waits for it: two seconds on an emulated processor. An SA that is added and deleted
loads all that is needed, also what the kernel makes of several modules (ip-xfrm(8); /proc/crypto then has it).
"""

from collections.abc import Iterator

import ipsec_conf
from vpn_configure.files import Changes
from vpn_configure.machine import Machine

_SA = ("src", "127.0.0.1", "dst", "127.0.0.1", "proto", "esp", "spi", "0xfffffffe")
_KEYS = {size: f"0x{'00' * size}" for size in (20, 32, 36)}

ALGORITHMS = {
    "aes256-sha1": ("auth-trunc", "hmac(sha1)", _KEYS[20], "96", "enc", "cbc(aes)", _KEYS[32]),
    "aes_gcm256": ("aead", "rfc4106(gcm(aes))", _KEYS[36], "128"),
}
"""Beginning of `esp=` -> the words for it of ip-xfrm(8)."""


def load(machine: Machine, changes: Changes) -> None:
    """Load the ciphers that a change of the connections brings. What fails only costs time later."""
    change = changes.get(ipsec_conf.PATH)
    if not change:
        return
    old, new = (set(_ciphers(file.text)) if file else set[str]() for file in change)
    for cipher in sorted(new - old):
        machine.run("ip", "xfrm", "state", "add", *_SA, *ALGORITHMS[cipher])
        machine.run("ip", "xfrm", "state", "delete", *_SA)


def _ciphers(text: str) -> Iterator[str]:
    for keywords in ipsec_conf.parse(text).connections.values():
        yield from (cipher for cipher in ALGORITHMS if keywords.get("esp", "").startswith(cipher))
