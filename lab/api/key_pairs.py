"""Key pairs: the public keys that AWS accepts, and look-ups of missing key pairs."""

from cryptography.exceptions import UnsupportedAlgorithm
from moto.ec2.utils import public_key_parse

from lab.api.corrections import Call, refuses
from lab.api.errors import ec2_error


@refuses(
    "ImportKeyPair",
    rule="A public key is an ed25519 or RSA key in OpenSSH format.",
    source="AWSEC2/latest/APIReference/API_ImportKeyPair.html",
)
def public_key_is_readable(call: Call) -> None:
    """InvalidKey.Format."""
    try:
        public_key_parse(call.parameter("PublicKeyMaterial"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ec2_error("InvalidKey.Format", "Key is not in valid OpenSSH public key format") from error


@refuses(
    "DescribeKeyPairs",
    rule="Every key pair that the request names must exist.",
    source="AWSEC2/latest/APIReference/errors-overview.html",
)
def described_key_pairs_exist(call: Call) -> None:
    """InvalidKeyPair.NotFound."""
    for name in call.parameter("KeyNames") or []:
        if name not in call.backend.key_pairs:
            raise ec2_error("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
