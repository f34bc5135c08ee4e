"""The gateways of the article's pair for tests: their files and their user data, as components/ makes them."""

import base64
import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from components.decisions.files import File
from components.decisions.secrets import GivenSecrets, StoredSecrets
from components.decisions.tunnel import ConnectionDecision, End, TunnelProfile, connect
from components.user_data import cloud_config, gateway_files, proof_files

UK = End(site="uk", public_ip="203.0.113.10", private_ip="10.1.1.254", cidr_blocks=("10.1.0.0/16",))
AU = End(site="au", public_ip="198.51.100.20", private_ip="172.31.12.198", cidr_blocks=("172.31.0.0/16",))
PSK = "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip+oD3sYvW5x6="
PPK = "Zr8Kq1tVb5NwYx3Lg7Ps0Dm4Jf6Hc9Ua2Ei+oR/kT8s="
IN_SSM = StoredSecrets(
    endpoint="ssm.eu-west-2.amazonaws.com",
    region="eu-west-2",
    psk_parameter="/vpn/uk/psk:1",
    ppk_parameter="/vpn/uk/ppk:1",
    host_key_parameter="/vpn/uk/host-key:1",
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
OTHER_KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICDHuT5/J3Nf/VF82vOs147yG8bO2tjbS1sLU9uW/IgS
-----END PRIVATE KEY-----
"""
OTHER_PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINn3gEer0J+gv7huIPBz9497al0ldKRCtAGqoQqcjJac"
"""Another one, in PEM format."""
AUTHORIZED_KEYS = "/etc/ssh/authorized_keys.d/admin"
"""The file of a gateway that has the public keys which log in, a line each."""
INLINE = GivenSecrets(psk=PSK, ppk=PPK, host_private_key=HOST_KEY)


@dataclass(frozen=True, kw_only=True)
class GatewayDocument:
    """What the files of a gateway are made of."""

    local: End
    connections: tuple[ConnectionDecision, ...]
    site_cidr_blocks: tuple[str, ...]
    administrator_cidr_blocks: tuple[str, ...] = ()
    secrets: StoredSecrets | GivenSecrets

    @property
    def files(self) -> tuple[File, ...]:
        """The files that its user data writes."""
        return gateway_files(**vars(self), host_public_key=PUBLIC_KEY)

    @property
    def user_data(self) -> str:
        """Its cloud-config."""
        return cloud_config(f"{self.local.site}-gateway", self.files)


def gateway_document(
    local: End = UK,
    peer: End = AU,
    profile: TunnelProfile = TunnelProfile.MODERN,
    secrets: StoredSecrets | GivenSecrets = IN_SSM,
) -> GatewayDocument:
    """Return the gateway at `local` with one peer; of an IKEv1 profile, without the postquantum key."""
    if profile is TunnelProfile.ARTICLE_2014:
        secrets = without_ppk(secrets)
    connections = (connect(local, peer, profile, postquantum=secrets.postquantum),)
    return GatewayDocument(local=local, connections=connections, site_cidr_blocks=local.cidr_blocks, secrets=secrets)


def without_ppk(secrets: StoredSecrets | GivenSecrets) -> StoredSecrets | GivenSecrets:
    """Return the secrets without the postquantum key."""
    return replace(secrets, ppk=None) if isinstance(secrets, GivenSecrets) else replace(secrets, ppk_parameter=None)


def with_networks(document: GatewayDocument, *, local: tuple[str, ...], remote: tuple[str, ...]) -> GatewayDocument:
    """Return the document with other networks on both sides; the connection's keywords stay."""
    (connection,) = document.connections
    return replace(
        document,
        local=replace(document.local, cidr_blocks=local),
        connections=(replace(connection, peer=replace(connection.peer, cidr_blocks=remote)),),
        site_cidr_blocks=local,
    )


def installed_files(document: GatewayDocument) -> dict[str, str]:
    """Return path -> text of all files on the gateway after its first boot and the proof."""
    return {file.path: file.text for file in (*document.files, *proof_files())}


def user_data_of(inputs: Mapping[str, Any]) -> str:
    """Return the text of an instance's user data."""
    return gzip.decompress(base64.b64decode(inputs["userDataBase64"])).decode()


def files_of(user_data: str) -> dict[str, str]:
    """Return path -> text of the files that cloud-init writes."""
    return {file["path"]: file["content"] for file in yaml.safe_load(user_data)["write_files"]}


def one_rule_for_each_address(rules: str) -> str:
    """Return the input of iptables-restore(8) with each list of addresses as a rule for each of them."""
    return re.sub(
        r"^(-A \S+ -[sd] )(\S+)(.*)$",
        lambda rule: "\n".join(f"{rule[1]}{address}{rule[3]}" for address in rule[2].split(",")),
        rules,
        flags=re.MULTILINE,
    )
