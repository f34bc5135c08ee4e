"""What is the same on every gateway: its programs and units, packed into the little room that user data has."""

import base64
import bz2
import json
from importlib.resources import files
from typing import Final

from .slim import slim_python, slim_shell

PROGRAMS: Final = {
    "/usr/local/bin/vpn-verify": "vpn_verify.py",
    "/usr/local/sbin/vpn-secrets": "vpn_secrets.py",
    "/usr/local/sbin/vpn-boot": "vpn-boot.sh",
    "/usr/local/sbin/vpn-filter": "vpn-filter.sh",
    "/usr/local/sbin/vpn-initiate": "vpn-initiate.sh",
    "/usr/local/sbin/vpn-sysctl": "vpn-sysctl.sh",
    "/etc/systemd/system/vpn-filter.service": "vpn-filter.service",
    "/etc/systemd/system/vpn-secrets.service": "vpn-secrets.service",
    "/etc/systemd/system/vpn-sysctl.service": "vpn-sysctl.service",
    "/etc/ssh/sshd_config.d/vpn-gateway.conf": "sshd.conf",
}
"""Path on the gateway -> file in userdata/gateway/."""


def installed_programs() -> dict[str, str]:
    """Return path -> text, as they are installed: without comments and docstrings."""
    return {path: _slim(name) for path, name in PROGRAMS.items()}


def packed_programs() -> str:
    """Return `installed_programs` as base64 of bzip2 of JSON.

    bzip2, because every Python has the same libbz2 and it has written the same bytes for twenty years; zlib has several
    implementations whose bytes differ, and other bytes would replace the gateways.
    """
    return base64.b64encode(bz2.compress(json.dumps(installed_programs()).encode())).decode()


def _slim(name: str) -> str:
    text = files(__package__).joinpath("gateway", name).read_text(encoding="ascii")
    return slim_python(text) if name.endswith(".py") else slim_shell(text)
