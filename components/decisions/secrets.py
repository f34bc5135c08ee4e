"""How a gateway gets its pre-shared key and its SSH host key, as its secrets file describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StoredSecrets:
    """SSM SecureString parameters in the gateway's own region; the gateway reads them at boot with its role."""

    endpoint: str
    """Host name of SSM, e.g. `ssm.eu-west-2.amazonaws.com`."""
    region: str
    psk_parameter: str
    """`NAME:VERSION`, as GetParameter takes it: the gateway's files change with the value."""
    host_key_parameter: str

    def described(self) -> Mapping[str, Any]:
        """Return the entries of the gateway's secrets file."""
        names = {"psk": self.psk_parameter, "host_key": self.host_key_parameter}
        return {"ssm": {"endpoint": self.endpoint, "region": self.region, **names}}


@dataclass(frozen=True, kw_only=True)
class GivenSecrets:
    """The secrets, for the user data. Everyone who may call ec2:DescribeInstanceAttribute can read them there."""

    psk: str
    """Printable ASCII without `"`."""
    host_private_key: str
    """OpenSSH private key (PEM), ed25519, without passphrase."""

    def described(self) -> Mapping[str, Any]:
        """Return the entries of the gateway's secrets file."""
        return {"psk": self.psk, "host_key": self.host_private_key}
