"""`tls:index/privateKey:PrivateKey` and the function `getPublicKey`."""

from collections.abc import Callable, Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from lab.resource_plugins.base import UNKNOWN, Call, Function, Input, Properties, Resource
from lab.resource_plugins.tls.encodings import PrivateKey, algorithm_of, identifier, private_texts, public_texts

_CURVES: Mapping[str, Callable[[], ec.EllipticCurve]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}
_ALGORITHMS: Mapping[str, Callable[[Properties], PrivateKey]] = {
    "RSA": lambda inputs: rsa.generate_private_key(public_exponent=65537, key_size=inputs["rsaBits"]),
    "ECDSA": lambda inputs: ec.generate_private_key(_CURVES[inputs["ecdsaCurve"]]()),
    "ED25519": lambda _inputs: ed25519.Ed25519PrivateKey.generate(),
}
_MINIMUM_RSA_BITS = 1024
_SECRETS = ("privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh")
_PUBLIC = ("publicKeyPem", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256")


def check(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    """Refuse unknown algorithms and curves, and too few bits."""
    problems = _not_one_of(inputs, "algorithm", _ALGORITHMS) + _not_one_of(inputs, "ecdsaCurve", _CURVES)
    bits = inputs.get("rsaBits")
    if isinstance(bits, int) and bits < _MINIMUM_RSA_BITS:
        problems.append(("rsaBits", f"rsaBits {bits} is too few for a key; use at least {_MINIMUM_RSA_BITS}"))
    return problems or inputs


def create(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Generate a key and return it in all formats."""
    key = _ALGORITHMS[inputs["algorithm"]](inputs)
    return identifier(key), {**private_texts(key), **public_texts(key)}


def get_public_key(_call: Call, arguments: Properties) -> Properties:
    """Return the public key of a private key, which is in PEM or OpenSSH format."""
    names = [name for name in ("privateKeyPem", "privateKeyOpenssh") if arguments.get(name) is not None]
    if len(names) != 1:
        raise ValueError(
            "getPublicKey takes one of privateKeyPem and privateKeyOpenssh; "
            f"it was given {' and '.join(names) or 'neither'}"
        )
    (name,) = names
    text = str(arguments[name]).encode()
    load = load_pem_private_key if name == "privateKeyPem" else load_ssh_private_key
    try:
        key = load(text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{name} is not a private key that can be read without a passphrase: {error}") from error
    if not isinstance(key, PrivateKey):
        raise ValueError(f"{name} is a {type(key).__name__}; use one of {', '.join(_ALGORITHMS)}")
    return {**arguments, "id": identifier(key), "algorithm": algorithm_of(key), **public_texts(key)}


def _not_one_of(inputs: Properties, name: str, values: Mapping[str, object]) -> list[tuple[str, str]]:
    value = inputs.get(name)
    if value is None or value is UNKNOWN or value in values:
        return []
    return [(name, f"{name} {value!r} must be one of: {', '.join(values)}")]


PRIVATE_KEY = Resource(
    "tls:index/privateKey:PrivateKey",
    {
        "algorithm": Input(required=True),
        "ecdsaCurve": Input(default="P224"),
        "rsaBits": Input(default=2048),
    },
    create=create,
    check=check,
    outputs=(*_SECRETS, *_PUBLIC),
    secret_outputs=_SECRETS,
)

GET_PUBLIC_KEY = Function("tls:index/getPublicKey:getPublicKey", get_public_key, secret_outputs=_SECRETS)
