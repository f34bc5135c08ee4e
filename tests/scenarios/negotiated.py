"""What a gateway's daemon reports about its SAs: what was negotiated, not what the connection asks for.

Libreswan has no machine-readable status; these are lines of `ipsec status`, `ipsec whack --trafficstatus` and the log
that 4.10 and 5.2 both print.
"""

import re
from dataclasses import dataclass

from tests.scenarios.gateway import Gateway


@dataclass(frozen=True)
class Tunnel:
    """The newest SAs of one connection; empty where there is none."""

    ike: str
    """`IKEv2 AES_GCM_16_256-HMAC_SHA2_512-DH20`."""
    esp: str
    """`AES_GCM_16_256-NONE`."""
    bytes_in: int
    """Payload of all its Child SAs together."""
    bytes_out: int

    @property
    def is_up(self) -> bool:
        """Whether packets can pass: there is a Child SA."""
        return bool(self.esp)


def tunnel(gateway: Gateway) -> Tunnel:
    """Return the SAs of the gateway's connection to its peer."""
    return parse(gateway.connection, gateway.run("ipsec status"), gateway.run("ipsec whack --trafficstatus || true"))


def parse(connection: str, status: str, traffic: str) -> Tunnel:
    """Return the SAs of a connection from the two texts; `traffic` alone decides whether there is a Child SA."""
    quoted = f'"{re.escape(connection)}"'
    carried = re.findall(rf"{quoted}.* inBytes=(\d+), outBytes=(\d+)", traffic)
    ike = re.search(rf"{quoted}: +(IKEv[12]) algorithm newest: (\S+)", status)
    esp = re.search(rf"{quoted}: +ESP algorithm newest: ([^;\s]+)", status)
    return Tunnel(
        ike=" ".join(ike.groups()) if ike else "",
        esp=esp[1] if esp and carried else "",
        bytes_in=sum(int(inward) for inward, _ in carried),
        bytes_out=sum(int(outward) for _, outward in carried),
    )


def transforms(gateway: Gateway) -> list[str]:
    """Return the algorithms of every Child SA that the gateway's daemon has logged since it started, oldest first.

    `AES_GCM_16_256-NONE-DH20`: with a group at its end only after a separate key exchange.
    """
    return parse_transforms(gateway.run("journalctl -q --no-pager -b -u ipsec -o cat"))


def parse_transforms(log: str) -> list[str]:
    """Return the algorithms of the Child SAs in a log of pluto."""
    return re.findall(r"\{ESP\S*=>\S+ <\S+ xfrm=(\S+?)[ }]", log)


def log(gateway: Gateway, lines: int = 60) -> str:
    """Return the end of the log of the gateway's daemon."""
    return gateway.run(f"journalctl -q --no-pager -u ipsec -n {lines} -o cat")
