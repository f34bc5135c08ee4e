"""How a gateway gets its pre-shared keys and its SSH host key, as its secrets file describes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StoredSecrets:
    """SSM SecureString parameters in the gateway's own region; the gateway reads them at boot with its role."""

    endpoint: str
    """Host name of SSM, e.g. `ssm.eu-west-2.amazonaws.com`."""
    region: str
    psk_parameter: str | None
    """`NAME:VERSION`, as GetParameter takes it: the gateway's files change with the value. None: it has no peers."""
    ppk_parameter: str | None
    """None: the gateway has no postquantum pre-shared key."""
    host_key_parameter: str

    @property
    def postquantum(self) -> bool:
        """Whether the gateway has a postquantum pre-shared key."""
        return self.ppk_parameter is not None

    def described(self) -> Mapping[str, Any]:
        """Return the entries of the gateway's secrets file."""
        names = _present(psk=self.psk_parameter, ppk=self.ppk_parameter, host_key=self.host_key_parameter)
        return {"ssm": {"endpoint": self.endpoint, "region": self.region, **names}}


@dataclass(frozen=True, kw_only=True)
class GivenSecrets:
    """The secrets, for the user data. Everyone who may call ec2:DescribeInstanceAttribute can read them there."""

    psk: str | None
    """Printable ASCII without `"`; None: the gateway has no peers."""
    ppk: str | None
    """The same; None: the gateway has no postquantum pre-shared key."""
    host_private_key: str
    """OpenSSH private key (PEM), ed25519, without passphrase."""

    @property
    def postquantum(self) -> bool:
        """Whether the gateway has a postquantum pre-shared key."""
        return self.ppk is not None

    def described(self) -> Mapping[str, Any]:
        """Return the entries of the gateway's secrets file."""
        return _present(psk=self.psk, ppk=self.ppk, host_key=self.host_private_key)


def _present(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
