"""Checks a pre-shared key, also a postquantum one: can ipsec.secrets carry it, and can it be guessed? Pure."""

import re
from collections.abc import Iterator
from math import log2
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits, hexdigits
from typing import Final

GENERATED_PSK_CHARACTERS: Final = 43
"""Letters and digits worth 32 random bytes (43 x log2 62 = 256 bits), and more than 32 bytes long: half of SHA2-512's
output is the FIPS floor for its PRF; Libreswan refuses less in FIPS mode.
"""

MINIMUM_PSK_BITS: Final = 128
MINIMUM_PPK_BITS: Final = 256
"""A quantum computer halves the bits (RFC 8784, "Security Considerations")."""
MINIMUM_DISTINCT_CHARACTERS: Final = 8
LONGEST_PSK: Final = 128
"""Characters. SSM's standard tier takes 4,096 (Systems Manager API reference, "PutParameter"), user data much less."""
LONGEST_PPK: Final = 66
"""Characters: 256 bits as hexadecimal digits with `0x`."""

_ALPHABETS: Final = (
    digits,
    digits + "abcdef",
    digits + "ABCDEF",
    hexdigits,
    ascii_lowercase,
    ascii_uppercase,
    ascii_lowercase + digits,
    ascii_uppercase + digits,
    ascii_letters + digits + "+/=-_",
)
# Mixed case in hex digits is not one more bit each: it spells the same number. Base32 may be letters alone by chance.
_SIZES: Final = (10, 16, 16, 16, 32, 32, 36, 36, 64)
_OTHERWISE: Final = 92

_MARGIN: Final = 20
"""Bits. By Kraft's inequality, at most one random text in 2^20 has a description that is this much shorter than the
text, in any way of describing.
"""

_UUID: Final = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_WORD_BITS: Final = 16
"""Bits of a word of a list of 65,000."""
_PHRASE: Final = r"(?:[A-Za-z][a-z]+|[A-Z]+|[0-9]{1,4})(?:[-_.,:;+/=](?:[A-Za-z][a-z]+|[A-Z]+|[0-9]{1,4}))+"

_ROWS: Final = (
    ascii_lowercase,
    "0123456789abcdef",
    "1234567890",
    "00112233445566778899aabbccddeeff",
    "qwertyuiop",
    "qwertzuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "!@#$%^&*()",
)
_WALKS: Final = tuple({walk for row in _ROWS for way in (row, row[::-1]) for walk in (way, way.upper())})
"""Sequences of the alphabet and of the keyboard, in both directions, with and without shift."""
_WALK_BITS: Final = log2(sum(map(len, _WALKS)) * max(map(len, _WALKS)))
"""Bits of the start and the length of a walk."""

_WORDS: Final = frozenset(
    """
    a about access account address admin administrator again air all alpha always amazon america and angel animal any
    apple april are area as at attack au august aus australia autumn aws baby back bad bank base baseball battery be
    bear beautiful beta big bird bit black blue body book box boy bravo bridge bring britain british brother brown
    building business but by call can car card cat center central change charlie cheese child city class clear client
    cloud coffee cold company computer config connect connection control cool correct country cross crypto dallas data
    database date day december default delta demo deploy dev development device dog domain door down dragon dream
    drive dublin east echo edge end enter eu europe every example eye face fall family father february field file fire
    firewall first fish flower football for forever fox france freedom friday friend from game garden gate gateway
    general germany get ginger girl give global go god gold good google great green group guest hand happy hard have
    head heart hello help here hidden high hockey hold home horse host hot hotel house how hundred i ike in india
    infra inside internal internet invalid ip ipsec iron is it january japan july jumps june just key keys king kitty
    know lab land laptop large last lazy left let letmein letter level libreswan life light like line linux lion list
    little live local lock login london long love lucky machine mail main make man manager march mars master match
    matrix may me melbourne member mercury metal michael midnight mind mine mobile mode modern monday money monkey
    monster moon more morning mother mountain music must my name nano net netgear network never new news night nine no
    north not nothing november now number ocean october off office ok old on one online only open openswan operator or
    orange order other our out over oxford page paper paris party pass passphrase password peer pencil people phone
    place play please point police power pre preshared prince princess private prod production profile project protect
    proxy psk public purple qa queen question quick radio rain random read real red region remote replace right ring
    river road robot rock root rose round router run safe sales sample san saturday school sea secret section secure
    security september server service seven shadow share shared she ship side silver simple singapore site six sky
    small smith snow so some something south space spring ssh staging staple star start state stone stop storm strong
    strongswan summer sun sunday sunshine super support swan sydney system table team tech temp temporary ten test
    testing text thank that the then there thing this three thunder thursday tiger time to today tokyo tom top town
    train travel tree true trust tuesday tunnel turn two uk under united up us usa use user very vpc vpn wait wall
    want war water way web wednesday week welcome west what white who wifi wind window winter with wizard woman wonder
    word work world yellow yes you your zero zone
    """.split()  # noqa: SIM905 - as lines of words it can be read
)
_LONGEST_WORD: Final = max(map(len, _WORDS))
_SHORTEST: Final = 3
"""Characters of the shortest repeat or walk that counts as one."""
_WORD_OF_LIST_BITS: Final = log2(len(_WORDS)) + log2(3)
"""Bits of the choice of a word, and of small letters, capitals or one capital."""
_LEET: Final = str.maketrans("013457@$!", "oleastasi")


def psk_weakness(psk: str) -> tuple[str, str] | None:
    """Return the rule that a pre-shared key breaks, and the remedy; None when it breaks none. Neither shows the key.

    The secrets file carries it as quoted text (ipsec.secrets(5)): printable ASCII without the quote itself. A key has
    at most as many bits as its length times what one character of its alphabet is worth; a leading `0x` is worth
    nothing. It has fewer when it can be described in fewer: by words, years, repeats and walks along the keyboard.
    """
    return _weakness(psk, MINIMUM_PSK_BITS, LONGEST_PSK)


def ppk_weakness(ppk: str) -> tuple[str, str] | None:
    """Return the rule that a postquantum pre-shared key breaks, and the remedy, as `psk_weakness` does."""
    return _weakness(ppk, MINIMUM_PPK_BITS, LONGEST_PPK)


def equal_keys(psk: str, ppk: str) -> tuple[str, str] | None:
    """Return the rule that two pre-shared keys break when they are equal, and the remedy; None when they differ."""
    rule, remedy = "is the pre-shared key too", "give two keys that do not depend on each other"
    return (rule, remedy) if psk == ppk else None


def _weakness(key: str, minimum_bits: int, longest: int) -> tuple[str, str] | None:
    remedy = "use the output of `openssl rand -base64 32`; a pair without it has 256 random bits generated"
    rule = _uncarried(key, longest) or _guessed(_without_notation(key), minimum_bits)
    return None if rule is None else (rule, remedy)


def _without_notation(psk: str) -> str:
    """Return the key without the marks of its notation: `0x` before hexadecimal digits, `=` after base64."""
    return psk[2:] if re.fullmatch("0x[0-9A-Fa-f]+", psk) else psk.rstrip("=")


def _uncarried(psk: str, longest: int) -> str | None:
    if any(not 0x20 < ord(character) < 0x7F or character in '"\\' for character in psk):
        return 'has characters that ipsec.secrets cannot carry (only printable ASCII without blank, " and \\)'
    if "{{" in psk:
        return "has `{{`, which SSM Parameter Store takes for a reference to another parameter"
    if len(psk) > longest:
        return f"has {len(psk)} characters, more than {longest}"
    return None


def _guessed(text: str, minimum_bits: int) -> str | None:
    size = next((n for alphabet, n in zip(_ALPHABETS, _SIZES, strict=True) if set(text) <= set(alphabet)), _OTHERWISE)
    bits = len(text) * log2(size)
    if bits < minimum_bits:
        return f"is worth {int(bits)} bits at most, fewer than {minimum_bits}"
    if re.fullmatch(_UUID, text.lower()):
        return f"is a UUID, which is worth 122 bits at most (RFC 9562, 5.4), fewer than {minimum_bits}"
    if len(set(text)) < MINIMUM_DISTINCT_CHARACTERS or text in (text + text)[1:-1]:
        return "repeats itself"
    if re.fullmatch(_PHRASE, text) and len(re.findall("[A-Za-z0-9]+", text)) * _WORD_BITS < minimum_bits:
        return "is a few words, which are guessed before random text is"
    if _described(text, log2(size)) < min(minimum_bits, bits - _MARGIN):
        return "is made of words, years, repeats or walks along the keyboard, which are guessed before random text is"
    return None


def _described(text: str, character_bits: float) -> float:
    """Return the bits of the shortest description of `text` by the kinds of `_pieces`."""
    best = [0.0] + [float("inf")] * len(text)
    for start in range(len(text)):
        for length, bits in _pieces(text, start, character_bits):
            best[start + length] = min(best[start + length], best[start] + bits)
    return best[-1]


def _pieces(text: str, start: int, character_bits: float) -> Iterator[tuple[int, float]]:
    """Yield length and bits of each piece that the text may continue with at `start`.

    The first number of the bits tells the kind of the piece: 1 bit for a word, 2 for a single character, 4 for each of
    the other four. So there are not more descriptions than random texts.
    """
    yield 1, 2 + character_bits
    for length in range(1, min(_LONGEST_WORD, len(text) - start) + 1):
        piece = text[start : start + length]
        if not piece.isalpha() or piece.islower() or piece.isupper() or piece.istitle():
            if piece.lower() in _WORDS:
                yield length, 1 + _WORD_OF_LIST_BITS
            elif piece.lower().translate(_LEET) in _WORDS:
                yield length, 1 + _WORD_OF_LIST_BITS + 4
    if re.match("(19|20)[0-9][0-9]", text[start:]):
        yield 4, 4 + log2(200)
    rest, head = text[start:], text[start : start + _SHORTEST]
    if len(head) < _SHORTEST:
        return
    before = [text[earlier:] for earlier in range(start) if text.startswith(head, earlier)]
    for others, bits in (
        ([rest[0] * len(rest)], character_bits + log2(16)),
        ([walk[walk.index(head) :] for walk in _WALKS if head in walk], _WALK_BITS),
        (before, 2 * log2(len(text))),
    ):
        length = max((_common(rest, other) for other in others), default=0)
        if length >= _SHORTEST:
            yield length, 4 + bits


def _common(one: str, other: str) -> int:
    """Return the number of equal characters at the start of two texts."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
