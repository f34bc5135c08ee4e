"""What a gateway expects of itself and of its tunnels: /etc/vpn-gateway/gateway.json, which its user data writes."""

import json
from typing import NamedTuple

PATH = "/etc/vpn-gateway/gateway.json"


class Peer(NamedTuple):
    """Another gateway, and what is expected of the tunnel to it."""

    connection: str
    public_ip: str
    private_ip: str
    """Empty: unknown."""
    cidr_blocks: str
    """Its ranges, separated by commas."""
    ike_version: int
    ike_algorithm: str
    esp_algorithm: str


class Gateway(NamedTuple):
    """What a gateway expects of itself."""

    gateway: str
    """Its host name."""
    local_id: str
    """Its public address, which is its identity."""
    address: str
    """Its private address."""
    local_cidr_blocks: str
    mtu: int
    internet_host: str
    internet_port: int
    peers: list[Peer]


class ExpectationsError(Exception):
    """The file is not there, or not what the user data writes."""


def load(path: str = PATH) -> Gateway:
    """Return the expectations in a file; keys that are not known here are ignored. Raises ExpectationsError."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        peers = [Peer(*map(peer.__getitem__, Peer._fields)) for peer in data["peers"]]
        return Gateway(*map({**data, "peers": peers}.__getitem__, Gateway._fields))
    except (OSError, ValueError, KeyError, TypeError) as error:
        remedy = "write it again, or replace the instance"
        raise ExpectationsError(f"{path} is not what the user data writes ({error!r}): {remedy}") from error
