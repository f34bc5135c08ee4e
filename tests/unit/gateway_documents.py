"""Gateway documents for tests: the article's pair in both profiles, with connections as components/ makes them."""

import base64
import bz2
import gzip
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from components.decisions.addressing import PRIVATE_NETWORKS
from components.decisions.tunnel import PROFILES, TCP_MSS, TUNNEL_MTU, End, TunnelProfile, connect
from userdata import Connection, GatewayDocument, Peer, SecretsInline, SecretsInSsm, render_user_data

UK = End(site="uk", public_ip="203.0.113.10", private_ip="10.1.1.254", cidr_blocks=("10.1.0.0/16",))
AU = End(site="au", public_ip="198.51.100.20", private_ip="172.31.12.198", cidr_blocks=("172.31.0.0/16",))
PSK = "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip+oD3sYvW5x6="
IN_SSM = SecretsInSsm(
    ssm_endpoint="ssm.eu-west-2.amazonaws.com",
    region="eu-west-2",
    psk_parameter_name="/vpn/uk/psk",
    host_key_parameter_name="/vpn/uk/host-key",
    revision="0123456789abcdef",
)
HOST_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACAdpMlvKRZSV44rLGDF+8dxJhQTFn1HxIj9TnIAHjHkawAAAIi2si72trIu
9gAAAAtzc2gtZWQyNTUxOQAAACAdpMlvKRZSV44rLGDF+8dxJhQTFn1HxIj9TnIAHjHkaw
AAAEDiymGIGgHA45Bo4VgonfAf8OVOAxyxMD1cGqcCARjguh2kyW8pFlJXjissYMX7x3Em
FBMWfUfEiP1OcgAeMeRrAAAAAAECAwQF
-----END OPENSSH PRIVATE KEY-----
"""
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB2kyW8pFlJXjissYMX7x3EmFBMWfUfEiP1OcgAeMeRr"
"""One key of this file alone, made by ssh-keygen: nothing takes it."""


def gateway_document(
    local: End = UK,
    peer: End = AU,
    profile: TunnelProfile = TunnelProfile.MODERN,
    secrets: SecretsInSsm | SecretsInline = IN_SSM,
) -> GatewayDocument:
    """Return what components/ would say about the gateway at `local`."""
    decision, data = connect(local, peer, profile), PROFILES[profile]
    expected = Peer(
        connection=decision.name,
        public_ip=peer.public_ip,
        private_ip=peer.private_ip,
        cidr_blocks=peer.cidr_blocks,
        pair=decision.pair_of_addresses,
        ike_version=data.ike_version,
        ike_algorithm=data.ike_algorithm,
        esp_algorithm=data.esp_algorithm,
    )
    return GatewayDocument(
        hostname=f"{local.site}-gateway",
        local_id=local.public_ip,
        private_ip=local.private_ip,
        local_cidr_blocks=local.cidr_blocks,
        site_cidr_blocks=local.cidr_blocks,
        administrator_cidr_blocks=(),
        private_cidr_blocks=tuple(map(str, PRIVATE_NETWORKS)),
        config_setup=data.config_setup,
        connections=(Connection(name=decision.name, keywords=decision.keywords),),
        peers=(expected,),
        tcp_mss=TCP_MSS,
        tunnel_mtu=TUNNEL_MTU,
        internet_host="ssm.eu-west-2.amazonaws.com",
        internet_port=443,
        secrets=secrets,
        ssh_host_public_key=PUBLIC_KEY,
    )


def with_networks(document: GatewayDocument, *, local: tuple[str, ...], remote: tuple[str, ...]) -> GatewayDocument:
    """Return the document with other networks on both sides; the connection stays."""
    return replace(
        document,
        local_cidr_blocks=local,
        site_cidr_blocks=local,
        peers=(replace(document.peers[0], cidr_blocks=remote),),
    )


def parsed(document: GatewayDocument) -> dict[str, Any]:
    """Return the user data as cloud-init reads it."""
    config = yaml.safe_load(render_user_data(document))
    assert isinstance(config, dict)
    return config


def user_data_of(inputs: Mapping[str, Any]) -> str:
    """Return the text of an instance's user data."""
    return gzip.decompress(base64.b64decode(inputs["userDataBase64"])).decode("ascii")


def installed_files(document: GatewayDocument) -> dict[str, str]:
    """Return path -> text of everything that a boot with this user data puts on the gateway."""
    return files_of(parsed(document))


def files_of(config: dict[str, Any]) -> dict[str, str]:
    """Return path -> text of everything in a cloud-config: what cloud-init writes, and what is in the pack."""
    parts = bz2.decompress(base64.b85decode(config["runcmd"][0][-1])).decode().split("\0")
    return {file["path"]: file["content"] for file in config["write_files"]} | dict(
        zip(parts[::2], parts[1::2], strict=True)
    )
