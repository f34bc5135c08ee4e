"""The contract between components/ (which decides) and the templates (which only spell)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Connection:
    """One `conn` of ipsec.conf(5)."""

    name: str
    keywords: Mapping[str, str]
    """Keyword -> value, in the order they are written."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The other gateway of a connection, and what vpn-verify expects of the tunnel to it."""

    connection: str
    """Name of the `Connection`."""
    public_ip: str
    private_ip: str
    """Answers the verification's pings, through the tunnel."""
    cidr_blocks: tuple[str, ...]
    pair: str
    """Which pair of ranges both gateways' private addresses are in, as Libreswan names it after the connection: `/1x2`
    for the first here and the second there, `/1x0` where there is one there; empty where there is one on both sides.
    """
    ike_version: int
    """1 or 2."""
    ike_algorithm: str
    """As Libreswan prints it for an established IKE SA, e.g. `AES_GCM_16_256`; compared without regard to case."""
    esp_algorithm: str


@dataclass(frozen=True, kw_only=True)
class SecretsInSsm:
    """Names of SSM SecureString parameters in the gateway's own region, fetched at boot with the instance role."""

    ssm_endpoint: str
    """Host name, e.g. `ssm.eu-west-2.amazonaws.com`."""
    region: str
    psk_parameter_name: str
    """Its value: as `SecretsInline.psk`."""
    host_key_parameter_name: str
    """Its value: as `SecretsInline.host_key`."""
    revision: str
    """Changes whenever one of the values does, so that the document changes with it. Not secret."""


@dataclass(frozen=True, kw_only=True)
class SecretsInline:
    """Secrets inside the user data: readable by whoever may call ec2:DescribeInstanceAttribute.

    For accounts without IAM rights.
    """

    psk: str
    """Literal text of the key, printable ASCII without `"`; the gateway's secrets file quotes it."""
    host_key: str
    """OpenSSH private key (PEM), ed25519, without passphrase."""


@dataclass(frozen=True, kw_only=True)
class GatewayDocument:
    """Everything one gateway's user data says."""

    hostname: str
    local_id: str
    """This gateway's public IPv4 address: its IKE identity."""
    private_ip: str
    local_cidr_blocks: tuple[str, ...]
    """What the peers reach here, through the tunnels."""
    site_cidr_blocks: tuple[str, ...]
    """What is masqueraded towards the Internet: whatever is here, tunnelled or not."""
    administrator_cidr_blocks: tuple[str, ...]
    """What of the site and of the peers' ranges may reach this gateway by SSH."""
    private_cidr_blocks: tuple[str, ...]
    """What is not on the Internet: of it, nothing is forwarded to but the site and the peers' ranges."""
    config_setup: Mapping[str, str]
    """Keywords of ipsec.conf's `config setup`."""
    connections: tuple[Connection, ...]
    peers: tuple[Peer, ...]
    tcp_mss: int
    """Clamp for TCP through the tunnel, bytes."""
    tunnel_mtu: int
    """Largest packet that the tunnel takes, bytes."""
    internet_host: str
    """Public host that takes TCP connections from anywhere on `internet_port`: proves the way to the Internet."""
    internet_port: int
    secrets: SecretsInSsm | SecretsInline
    ssh_host_public_key: str
    """OpenSSH line of the pinned ed25519 host key."""
