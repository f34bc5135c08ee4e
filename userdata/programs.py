"""What is the same on every gateway, its programs and units, and how files are packed into the room of user data."""

import base64
import bz2
from collections.abc import Mapping
from functools import cache
from importlib.resources import files as resources
from types import MappingProxyType
from typing import Final

from .slim import slim_python, slim_shell

_LIBRARY = ("expectations", "healing", "icmp", "ike_probe", "metadata", "pluto", "vpn_watch")
_VERIFY = (
    *("__init__", "causes", "examine", "gateway_layers", "layer", "machine", "main", "packet_filter", "people"),
    *("start", "table", "tunnel_layers"),
)

PROGRAMS: Final = {
    **{f"/usr/local/lib/vpn-gateway/{name}.py": f"usr/local/lib/vpn-gateway/{name}.py" for name in _LIBRARY},
    **{
        f"/usr/local/lib/vpn-verify/vpn_verify/{name}.py": f"../proof/usr/local/lib/vpn-verify/vpn_verify/{name}.py"
        for name in _VERIFY
    },
    "/usr/local/bin/vpn-verify": "../proof/usr/local/bin/vpn-verify",
    "/usr/local/sbin/vpn-secrets": "vpn_secrets.py",
    "/usr/local/sbin/vpn-boot": "vpn-boot.sh",
    "/usr/local/sbin/vpn-filter": "vpn-filter.sh",
    "/usr/local/sbin/vpn-sysctl": "vpn-sysctl.sh",
    "/etc/systemd/system/vpn-filter.service": "vpn-filter.service",
    "/etc/systemd/system/vpn-secrets.service": "vpn-secrets.service",
    "/etc/systemd/system/vpn-sysctl.service": "vpn-sysctl.service",
    "/etc/systemd/system/vpn-watch.service": "vpn-watch.service",
    "/etc/systemd/networkd.conf.d/vpn-gateway.conf": "networkd.conf",
    "/etc/ssh/sshd_config.d/vpn-gateway.conf": "sshd.conf",
}
"""Path on the gateway -> file in userdata/gateway/."""


def installed_programs() -> dict[str, str]:
    """Return path -> text, as they are installed: without comments and docstrings."""
    return {path: _slim(name) for path, name in PROGRAMS.items()}


def packed_programs(files: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return `installed_programs` and these files as base85 (base64.b85encode: no quotes) of bzip2 of NUL-joined text.

    Path, text, path, text: what cloud-config.yaml.j2 takes apart. In the pack a file costs a third of what it costs
    outside, at the price of being readable on the gateway only.

    bzip2, because every Python has the same libbz2 and it has written the same bytes for twenty years; zlib has several
    implementations whose bytes differ, and other bytes would replace the gateways.
    """
    text = "\0".join(part for item in {**files, **installed_programs()}.items() for part in item)
    return base64.b85encode(bz2.compress(text.encode("ascii"))).decode()


@cache
def _slim(name: str) -> str:
    text = resources(__package__).joinpath("gateway", name).read_text(encoding="ascii")
    return slim_python(text) if name.endswith(".py") else slim_shell(text)
