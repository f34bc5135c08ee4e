"""Proves which pre-shared keys are accepted. Cannot prove that an accepted key is random."""

import random
from base64 import b32encode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from string import ascii_letters, ascii_lowercase, digits
from uuid import UUID

import pytest

from components.inputs.psk import LONGEST_PSK, ppk_weakness, psk_weakness

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""The characters that RandomPassword uses besides letters and digits if `special` is on."""

generator = random.Random(20261128)  # noqa: S311 - the same keys each time, so that no run fails by chance
GENERATED: dict[str, Callable[[], str]] = {
    "hexadecimal": lambda: generator.randbytes(16).hex(),
    "hexadecimal, capitals": lambda: generator.randbytes(16).hex().upper(),
    "hexadecimal, 0x": lambda: f"0x{generator.randbytes(16).hex()}",
    "base32": lambda: b32encode(generator.randbytes(16)).decode(),
    "base64 of 128 bits": lambda: b64encode(generator.randbytes(16)).decode(),
    "base64 for URLs": lambda: urlsafe_b64encode(generator.randbytes(16)).decode().rstrip("="),
    "base64 of 256 bits": lambda: b64encode(generator.randbytes(32)).decode(),
    "RandomPassword without special": lambda: "".join(generator.choices(ascii_letters + digits, k=43)),
    "RandomPassword with special": lambda: "".join(generator.choices(ascii_letters + digits + SPECIAL, k=22)),
    "small letters": lambda: "".join(generator.choices(ascii_lowercase, k=28)),
    "digits": lambda: "".join(generator.choices(digits, k=39)),
    "two UUIDs": lambda: "".join(str(UUID(bytes=generator.randbytes(16), version=4)) for _ in range(2)),
    "a name before it": lambda: f"vpn-uk-au-{generator.randbytes(16).hex()}",
}


@pytest.mark.parametrize("kind", GENERATED)
def test_every_generated_psk_is_accepted(kind: str) -> None:
    for _ in range(50):
        psk = GENERATED[kind]()
        assert psk_weakness(psk) is None or "{{" in psk, psk


@pytest.mark.parametrize(
    "generate",
    [
        lambda: "".join(generator.choices(ascii_letters + digits, k=43)),
        lambda: b64encode(generator.randbytes(32)).decode(),
        lambda: generator.randbytes(32).hex(),
        lambda: f"0x{generator.randbytes(32).hex()}",
    ],
    ids=["RandomPassword", "base64", "hexadecimal", "hexadecimal, 0x"],
)
def test_256_random_bits_are_accepted_as_a_postquantum_key(generate: Callable[[], str]) -> None:
    for _ in range(50):
        assert ppk_weakness(generate()) is None


@pytest.mark.parametrize(
    ("ppk", "rule"),
    [
        ("Zr8Kq1tVb5NwYx3Lg7Ps0Dm4Jf6Hc9Ua2Ei", "210 bits at most, fewer than 256"),
        ("aec8d3991aaff8bc8e2e3f731a8f6882", "128 bits at most, fewer than 256"),
        ("aec8d3991aaff8bc8e2e3f731a8f6882" * 2, "repeats itself"),
        ("MySuperSecretVpnKey2024MySuperSecretVpnKey2025", "is made of"),
        ("Zr8Kq1tVb5NwYx3Lg7Ps0Dm4Jf6Hc9Ua2Ei+oR/kT8s=" * 2, "has 88 characters, more than 66"),
    ],
)
def test_a_postquantum_key_that_is_weaker_or_longer_is_refused(ppk: str, rule: str) -> None:
    weakness = ppk_weakness(ppk)
    assert weakness is not None
    assert rule in weakness[0]


@pytest.mark.parametrize(
    ("psk", "rule"),
    [
        ("", "0 bits at most"),
        ("0xaec8d3991aaff8bc8e2e3f731a8f688", "124 bits at most"),
        ("correct-horse", "bits at most"),
        ("correcthorsebatterystaple", "125 bits at most"),
        ("12345678901234567890123456789012345678", "126 bits at most"),
        ("6ba7b810-9dad-41d1-80b4-00c04fd430c8", "is a UUID"),
        ("abababababababababababababababababababab", "repeats itself"),
        ("Password123Password123", "repeats itself"),
        ("0123456789abcdef0123456789abcdef", "repeats itself"),
        ("1234567890" * 4, "repeats itself"),
        ("fQ0yS7nXw2LrGzV9" * 2, "repeats itself"),
        ("CHANGE-ME-BEFORE-PRODUCTION", "is a few words"),
        ("orbit-sandal-violet-cactus-pencil-dragon", "is a few words"),
        ("MySuperSecretVpnKey2024", "is made of"),
        ("VpnPreSharedKey-uk-to-au-2024", "is made of"),
        ("correcthorsebatterystaplevpn", "is made of"),
        ("P@ssw0rd!P@ssw0rd!2024P@ssw0rd", "is made of"),
        ("Welcome12345Welcome12345!", "is made of"),
        ("TheQuickBrownFoxJumpsOverTheLazyDog", "is made of"),
        ("qwertyuiopasdfghjklzxcvbnm123456", "is made of"),
        ("1qaz2wsx3edc4rfv!QAZ@WSX#EDC$RFV", "is made of"),
        ("00112233445566778899aabbccddeeff", "is made of"),
        ("ffeeddccbbaa99887766554433221100", "is made of"),
        ("aaaabbbbccccddddeeeeffff00001111", "is made of"),
        ("abcdefghijklmnopqrstuvwxyz0123456789", "is made of"),
        ('fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8I"', "characters"),
        ("fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8I\n", "characters"),
        ("fQ0yS7nXw2 LrGzV9bTqHkM4cJ1uEa8I", "characters"),
        ("fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8é", "characters"),
        ("fQ0yS7nXw2LrGzV9bTqHk{{cJ1uEa8I}}", "has `{{`"),
        ("".join(generator.choices(ascii_letters, k=LONGEST_PSK + 1)), "has 129 characters, more than 128"),
    ],
)
def test_a_weak_psk_is_refused_without_being_shown(psk: str, rule: str) -> None:
    weakness = psk_weakness(psk)
    assert weakness is not None
    assert rule in weakness[0]
    assert not psk or psk not in "".join(weakness)


def test_the_longest_psk_is_accepted() -> None:
    assert psk_weakness("".join(generator.choices(ascii_letters + digits, k=LONGEST_PSK))) is None
