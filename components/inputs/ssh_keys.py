"""Checks SSH keys: whether a text is a key, and whether two halves belong together. Pure.

Formats: authorized_keys(5) and RFC 4253, 6.6, for a public key; OpenSSH's PROTOCOL.key, and PEM (RFC 7468) for a
private key. No message shows a private key.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from ..decisions.problems import SECRET, Problem

ED25519: Final = "ssh-ed25519"
RSA: Final = "ssh-rsa"
LOGIN_KEYS: Final = (ED25519, RSA)
"""What EC2 imports (Amazon EC2 user guide, "Create a key pair")."""
HOST_KEYS: Final = (ED25519,)

_LOCKED: Final = "has a passphrase, and a deployment cannot ask for it"
_MISMATCHED: Final = "is not the private half of the public key beside it"
_REMEDIES: Final = {
    _LOCKED: "give a key without one: ssh-keygen -p -N '' -f KEY removes it",
    _MISMATCHED: "give both halves of one key: ssh-keygen -y -f KEY prints the public one",
}
_WHOLE: Final = "give the whole file, as `ssh-keygen -t ed25519 -N ''` writes it"

_PEM: Final = r"-----BEGIN ([A-Z0-9 ]+)-----\n(.*?)\n?-----END \1-----"
_OPENSSH: Final = "OPENSSH PRIVATE KEY"
_MAGIC: Final = b"openssh-key-v1\0"
_ED25519_IN_DER: Final = bytes.fromhex("06032b6570")
"""The object identifier of ed25519, 1.3.101.112 (RFC 8410)."""


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A public key without its comment."""

    kind: str
    blob: bytes

    def line(self) -> str:
        """Return the line, without a comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode('ascii')}"


def public_key(text: str, kinds: tuple[str, ...]) -> PublicKey | None:
    """Return the public key in one line of text; None when the line has no key of these kinds."""
    kind, _, rest = text.strip().partition(" ")
    encoded, _, comment = rest.partition(" ")
    if kind not in kinds or len(comment.splitlines()) > 1:
        return None
    try:
        blob = base64.b64decode(encoded, validate=True)
        name, *numbers = _strings(blob)
    except (ValueError, binascii.Error):
        return None
    sizes = [len(number) for number in numbers]
    # An RSA key is its exponent and its modulus; EC2 takes moduli from 1,024 bits.
    whole = sizes == [32] if kind == ED25519 else len(sizes) == 2 and sizes[0] >= 1 and sizes[1] >= 128
    return PublicKey(kind=kind, blob=blob) if name == kind.encode() and whole else None


def key_problems(
    private_setting: str, private: str | None, public_setting: str, public: str | None, *, host: bool
) -> list[Problem]:
    """Return the problems of the two halves of a key. A half that is absent or not known yet is None.

    With `host`, the key is a host key, which must be ed25519 in OpenSSH's own format; otherwise it is a login key.
    """
    kinds = HOST_KEYS if host else LOGIN_KEYS
    key = None if public is None else public_key(public, kinds)
    if public is not None and key is None:
        remedy = f"use the .pub file: {' or '.join(f'{kind} AAAA…' for kind in kinds)}"
        # The value is not shown: it may be a private key from the wrong file.
        rule = "is not one line of an SSH public key"
        return [Problem(setting=public_setting, value="…", rule=rule, remedy=remedy)]
    broken = None if private is None else _private_rule(private, key, openssh=host)
    if broken is None:
        return []
    return [Problem(setting=private_setting, value=SECRET, rule=broken, remedy=_REMEDIES.get(broken, _WHOLE))]


def _private_rule(text: str, public: PublicKey | None, *, openssh: bool) -> str | None:
    """Return the rule that a private key breaks by itself or as the half of `public`; None when it breaks none."""
    match = re.fullmatch(_PEM, text.replace("\r\n", "\n").strip(), re.DOTALL)
    if match is None:
        return "is not a private key in OpenSSH or PEM format"
    label, body = match.groups()
    if label == "ENCRYPTED PRIVATE KEY" or re.match("Proc-Type:.*ENCRYPTED", body):
        return _LOCKED
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
        return _openssh_rule(data, public) if label == _OPENSSH else _pem_rule(data, label, public, openssh=openssh)
    except (ValueError, binascii.Error):
        return "is incomplete, or contains other text"


def _openssh_rule(data: bytes, public: PublicKey | None) -> str | None:
    if not data.startswith(_MAGIC):
        raise ValueError
    cipher, rest = _string(data[len(_MAGIC) :])
    _, rest = _string(rest)
    _, rest = _string(rest)
    if cipher != b"none":
        return _LOCKED
    blob, rest = _string(rest[4:])
    private, _ = _string(rest)
    if private[:4] != private[4:8] or blob[:4] != private[8:12]:
        raise ValueError
    return None if public is None or blob == public.blob else _MISMATCHED


def _pem_rule(der: bytes, label: str, public: PublicKey | None, *, openssh: bool) -> str | None:
    if openssh:
        return "is not in OpenSSH's own format"
    if label not in {"RSA PRIVATE KEY", "PRIVATE KEY"}:
        return "is not a private key for ed25519 or RSA"
    if public is None:
        return None
    # PEM contains the modulus of an RSA key, but usually no public part of an ed25519 key.
    _, *numbers = _strings(public.blob)
    ours = numbers[1] in der if public.kind == RSA else label == "PRIVATE KEY" and _ED25519_IN_DER in der
    return None if ours else _MISMATCHED


def _strings(data: bytes) -> list[bytes]:
    strings = []
    while data:
        first, data = _string(data)
        strings.append(first)
    return strings


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Return the first string (RFC 4251, 5) and the rest of the data; raises ValueError when the data is too short."""
    length = int.from_bytes(data[:4], "big")
    if len(data) < 4 + length:
        raise ValueError
    return data[4 : 4 + length], data[4 + length :]
