"""Decisions -> `GatewayDocument` -> text. The only module that knows `userdata`, whose place differs by packaging."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from .decisions.addressing import PRIVATE_NETWORKS
from .decisions.tunnel import TCP_MSS, TUNNEL_MTU, ConnectionDecision, End, TunnelProfile, connect

if TYPE_CHECKING:
    import userdata
else:
    try:  # inside the wheel
        from . import userdata
    except ImportError:  # in the checkout, beside this package
        import userdata

PUBLIC_ENDPOINT = "sts.amazonaws.com"
"""Answers TCP on port 443 from anywhere (AWS General Reference, STS endpoints), also an account without IAM rights."""


@dataclass(frozen=True, kw_only=True)
class StoredSecrets:
    """Where in SSM Parameter Store this gateway's secrets are."""

    endpoint: str
    region: str
    psk_parameter: str
    host_key_parameter: str
    revision: str
    """Changes with the values, and is none of them."""


@dataclass(frozen=True, kw_only=True)
class GivenSecrets:
    """The secrets themselves."""

    psk: str
    host_private_key: str


def gateway_user_data(
    *,
    hostname: str,
    local: End,
    site_cidr_blocks: tuple[str, ...],
    administrator_cidr_blocks: tuple[str, ...],
    connections: Sequence[ConnectionDecision],
    secrets: StoredSecrets | GivenSecrets,
    host_public_key: str,
) -> str:
    """Return the user data of the gateway at `local`; raises ValueError when it is more than EC2 takes.

    `site_cidr_blocks` is whatever is at the site, tunnelled or not: the gateway is NAT for all of it.
    `administrator_cidr_blocks` is what of the site and of the peers' ranges may reach the gateway by SSH.
    """
    document = userdata.GatewayDocument(
        hostname=hostname,
        local_id=local.public_ip,
        private_ip=local.private_ip,
        local_cidr_blocks=local.cidr_blocks,
        site_cidr_blocks=site_cidr_blocks,
        administrator_cidr_blocks=administrator_cidr_blocks,
        private_cidr_blocks=tuple(map(str, PRIVATE_NETWORKS)),
        config_setup=_config_setup(connections),
        connections=tuple(userdata.Connection(name=each.name, keywords=each.keywords) for each in connections),
        peers=tuple(_peer(each) for each in connections),
        tcp_mss=TCP_MSS,
        tunnel_mtu=TUNNEL_MTU,
        internet_host=secrets.endpoint if isinstance(secrets, StoredSecrets) else PUBLIC_ENDPOINT,
        internet_port=443,
        secrets=_secrets(secrets),
        ssh_host_public_key=host_public_key.strip(),
    )
    return userdata.render_user_data(document)


def encoded_user_data(text: str) -> str:
    """Return user data as an instance's `user_data_base64` takes it."""
    return userdata.encode_user_data(text)


@cache
def programs_in_user_data() -> str:
    """Return a text that is another one when this release renders other user data of the same settings."""
    here, there = (
        End(
            site=site,
            public_ip=f"192.0.2.{number}",
            private_ip=f"10.{number}.0.4",
            cidr_blocks=(f"10.{number}.0.0/16",),
        )
        for number, site in enumerate(("here", "there"), start=1)
    )
    rendered = (
        gateway_user_data(
            hostname="here",
            local=here,
            site_cidr_blocks=here.cidr_blocks,
            administrator_cidr_blocks=("10.1.0.5/32",),
            connections=[connect(here, there, profile)],
            secrets=GivenSecrets(psk="psk", host_private_key="key"),
            host_public_key="key",
        )
        for profile in TunnelProfile
    )
    return "".join(rendered)


def _config_setup(connections: Sequence[ConnectionDecision]) -> Mapping[str, str]:
    # One gateway has one profile, so these cannot disagree.
    return {key: value for each in connections for key, value in each.profile.config_setup.items()}


def _peer(connection: ConnectionDecision) -> "userdata.Peer":
    return userdata.Peer(
        connection=connection.name,
        public_ip=connection.peer.public_ip,
        private_ip=connection.peer.private_ip,
        cidr_blocks=connection.peer.cidr_blocks,
        pair=connection.pair_of_addresses,
        ike_version=connection.profile.ike_version,
        ike_algorithm=connection.profile.ike_algorithm,
        esp_algorithm=connection.profile.esp_algorithm,
    )


def _secrets(secrets: StoredSecrets | GivenSecrets) -> "userdata.SecretsInSsm | userdata.SecretsInline":
    if isinstance(secrets, GivenSecrets):
        return userdata.SecretsInline(psk=secrets.psk, host_key=secrets.host_private_key)
    return userdata.SecretsInSsm(
        ssm_endpoint=secrets.endpoint,
        region=secrets.region,
        psk_parameter_name=secrets.psk_parameter,
        host_key_parameter_name=secrets.host_key_parameter,
        revision=secrets.revision,
    )
