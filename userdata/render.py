"""GatewayDocument -> cloud-init user data. Pure: imports jinja2 only, decides nothing."""

import json
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined

from .encode import gzipped
from .model import Connection, GatewayDocument, Peer, SecretsInline, SecretsInSsm
from .programs import packed_programs

__all__ = ["Connection", "GatewayDocument", "Peer", "SecretsInSsm", "SecretsInline", "render_user_data"]

USER_DATA_LIMIT: Final = 16384
"""Bytes of user data, gzip and before base64, that EC2 takes (RunInstances, UserData)."""


def render_user_data(document: GatewayDocument) -> str:
    """Return the cloud-config document for one gateway: ASCII, the same bytes for the same document.

    Raises ValueError when it would be larger than EC2 takes, or when a peer names no connection.
    """
    names = {connection.name for connection in document.connections}
    for peer in document.peers:
        if peer.connection not in names:
            raise ValueError(f"peer {peer.public_ip} names connection '{peer.connection}'; there is {sorted(names)}")
    text = _template(
        "cloud-config.yaml.j2",
        hostname=document.hostname,
        secrets=json.dumps(_secrets(document)),
        programs=packed_programs(_files(document)),
    )
    size = len(gzipped(text))
    if size > USER_DATA_LIMIT:
        raise ValueError(f"user data of {document.hostname} is {size} bytes of gzip, EC2 takes {USER_DATA_LIMIT}")
    return text


def _files(document: GatewayDocument) -> dict[str, str]:
    """Return path -> text of what is this gateway's own and everybody may read."""
    connections = {"connections": document.connections}
    ipsec = _template("ipsec.conf.j2", config_setup=document.config_setup, **connections)
    return {
        "/etc/ipsec.d/vpn.conf": ipsec,
        "/etc/systemd/system/ipsec.service.d/vpn.conf": _template("ipsec.service.conf.j2", **connections),
        "/etc/vpn-gateway/filter.rules": _filter_rules(document),
        "/etc/vpn-gateway/routes": "".join(f"{block} mtu {document.tunnel_mtu}\n" for block in _remote(document)),
        "/etc/vpn-gateway/gateway.json": json.dumps(_expectations(document)),
    }


def _filter_rules(document: GatewayDocument) -> str:
    return _template(
        "filter.rules.j2",
        site_cidr_blocks=document.site_cidr_blocks,
        remote_cidr_blocks=_remote(document),
        peer_addresses=tuple(peer.public_ip for peer in document.peers),
        administrator_cidr_blocks=document.administrator_cidr_blocks,
        private_cidr_blocks=document.private_cidr_blocks,
        tcp_mss=document.tcp_mss,
        gateway_address=document.private_ip,
    )


def _remote(document: GatewayDocument) -> tuple[str, ...]:
    return tuple(dict.fromkeys(block for peer in document.peers for block in peer.cidr_blocks))


def _expectations(document: GatewayDocument) -> dict[str, Any]:
    return {
        "gateway": document.hostname,
        "local_id": document.local_id,
        "address": document.private_ip,
        "local_cidr_blocks": document.local_cidr_blocks,
        "mtu": document.tunnel_mtu,
        "internet_host": document.internet_host,
        "internet_port": document.internet_port,
        "peers": [vars(peer) for peer in document.peers],
    }


def _secrets(document: GatewayDocument) -> dict[str, Any]:
    common = {
        "host_public_key": document.ssh_host_public_key.strip(),
        # Start of the line in the secrets file: a secret belongs to a pair of identities.
        "connections": {peer.connection: f"{document.local_id} {peer.public_ip}" for peer in document.peers},
    }
    match document.secrets:
        case SecretsInline(psk=psk, host_key=host_key):
            return {**common, "psk": psk, "host_key": host_key}
        case SecretsInSsm() as ssm:
            parameters = {"psk": ssm.psk_parameter_name, "host_key": ssm.host_key_parameter_name}
            endpoint = {"endpoint": ssm.ssm_endpoint, "region": ssm.region, "revision": ssm.revision}
            return {**common, "ssm": {**endpoint, **parameters}}


def _load_template(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="ascii")


def _template(name: str, **values: object) -> str:
    return _environment.get_template(name).render(values)


_environment: Final = Environment(
    loader=FunctionLoader(_load_template),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - no HTML anywhere
)
