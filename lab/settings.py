"""The folders of the lab and the addresses of its Internet."""

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout."""

STATE: Final = ROOT / ".lab"
"""Everything the lab writes. Ignored by git."""

BIN: Final = STATE / "bin"
"""The engine (`pulumi`) and its language hosts, and nothing else, because `lab env` puts this folder on PATH."""

CACHE: Final = STATE / "cache"
"""Guest images, package mirrors and certificates, which are expensive to create. Kept by `lab down`."""

RUN: Final = STATE / "run"
"""Pid files, sockets, mounts and machine disks of the running lab. Empty when the lab is down."""

WARM_PLUGINS: Final = RUN / "plugins.sock"
"""Socket of the server that starts stand-ins quickly; see lab.engine.warm."""

LOGS: Final = STATE / "logs"
"""Console logs of machines and logs of the lab's own processes. Kept by `lab down`, until the next `lab up`."""

PULUMI_HOME: Final = STATE / "pulumi-home"
BACKEND: Final = STATE / "state"
EVIDENCE: Final = STATE / "evidence"

API_PORT: Final = int(os.environ.get("LAB_API_PORT", "4599"))
"""Port of the AWS API on 127.0.0.1."""

API_URL: Final = f"http://127.0.0.1:{API_PORT}"

ACCOUNT_ID: Final = "123456789012"
"""The lab's AWS account (moto's default)."""

# A documentation range of RFC 5737, which no host on the Internet has. Only one of the three, because sandboxes use the
# others for their own hosts, which a route to the lab would hide.
ELASTIC_IP_POOLS: Final = (IPv4Network("198.51.100.0/25"), IPv4Network("198.51.100.128/25"))
# The benchmark range of RFC 2544, which no host on the Internet has. Not the documentation range 192.0.2.0/24: some
# sandboxes have it on their own interface, and a route for the lab would disconnect them.
INTERNET: Final = IPv4Network("198.18.0.0/24")
ADMINISTRATOR: Final = IPv4Address("198.18.0.10")
"""Address of the deploying host in the lab's Internet; a stack admits this address/32 as its administrator."""
ADMINISTRATOR_GATEWAY: Final = IPv4Address("198.18.0.9")
WEB_SERVER: Final = IPv4Address("198.18.0.80")
"""Public web server in the lab's Internet; also the Debian package mirror (http, port 80)."""
AWS_ENDPOINTS: Final = IPv4Address("198.18.0.81")
"""Server of `*.amazonaws.com`, with TLS on port 443."""
VPC_UPLINKS: Final = IPv4Network("198.18.0.128/25")
"""Point-to-point /31s between the Internet and each VPC's Internet gateway."""

MIRROR_HOST: Final = "mirror.lab.internal"
"""Name of the package mirror in the apt sources of the guest images."""

INTERNET_NAMESPACE: Final = "lab-internet"
NAMESPACE_PREFIX: Final = "lab-"
"""Prefix of the names of the lab's network namespaces, and of no others."""

INTERNAL_MTU: Final = 9001
EXTERNAL_MTU: Final = 1500
