"""The formats of keys. Each text ends with a newline, as with the real plugin."""

import base64
import hashlib
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def private_texts(key: PrivateKey) -> dict[str, str]:
    """Return the private key as the algorithm's own PEM (PKCS#1, SEC 1; PKCS#8 for Ed25519), PKCS#8 and OpenSSH.

    The OpenSSH text is empty for P-224, which SSH does not support (RFC 5656).
    """
    is_ed25519 = isinstance(key, ed25519.Ed25519PrivateKey)
    own = PrivateFormat.PKCS8 if is_ed25519 else PrivateFormat.TraditionalOpenSSL
    return {
        "privateKeyPem": _pem(key, own),
        "privateKeyPemPkcs8": _pem(key, PrivateFormat.PKCS8),
        "privateKeyOpenssh": _pem(key, PrivateFormat.OpenSSH) if is_supported_by_ssh(key) else "",
    }


def public_texts(key: PrivateKey) -> dict[str, str]:
    """Return the public key and its fingerprints (RFC 4716, section 4, and SHA256 as ssh-keygen(1) shows it).

    All but the PEM are empty for P-224.
    """
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    line, md5, sha256 = _ssh_texts(key) if is_supported_by_ssh(key) else ("", "", "")
    return {
        "publicKeyPem": pem,
        "publicKeyOpenssh": line,
        "publicKeyFingerprintMd5": md5,
        "publicKeyFingerprintSha256": sha256,
    }


def identifier(key: PrivateKey) -> str:
    """Return the plugin's id of a key: the SHA-1 of its public key (DER), in hex."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def algorithm_of(key: PrivateKey) -> str:
    """Return the plugin's name for the key's algorithm."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def is_supported_by_ssh(key: PrivateKey) -> bool:
    """Tell whether SSH supports this kind of key."""
    return not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1))


def _pem(key: PrivateKey, form: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def _ssh_texts(key: PrivateKey) -> tuple[str, str, str]:
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    blob = base64.b64decode(line.split()[1])
    md5 = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{line}\n", ":".join(md5[at : at + 2] for at in range(0, len(md5), 2)), f"SHA256:{sha256}"
