"""Where the lab keeps its things and which addresses its Internet uses; the one place for both."""

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout."""

STATE: Final = ROOT / ".lab"
"""Everything the lab writes. Ignored by git."""

BIN: Final = STATE / "bin"
"""The engine (`pulumi`), its language host, and nothing else: `lab env` puts it on PATH."""

CACHE: Final = STATE / "cache"
"""What is dear to make and safe to keep (guest images, package mirrors, certificates). Survives `lab down`."""

RUN: Final = STATE / "run"
"""Pid files, sockets, mounts and machine disks of the running lab. Empty when the lab is down."""

WARM_PLUGINS: Final = RUN / "plugins.sock"
"""Where the running lab starts stand-ins quickly; see lab.engine.warm."""

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

# One RFC 5737 documentation range, so that no packet for it can belong to anybody, and no more than one: sandboxes use
# the others for hosts of their own, and a route to the lab would hide those.
ELASTIC_IP_POOLS: Final = (IPv4Network("198.51.100.0/25"), IPv4Network("198.51.100.128/25"))
# RFC 2544's benchmark range belongs to nobody either. Not the third documentation range, 192.0.2.0/24: hosts that are
# themselves sandboxes have it on their own interface, and a route for the lab would cut them off.
INTERNET: Final = IPv4Network("198.18.0.0/24")
ADMINISTRATOR: Final = IPv4Address("198.18.0.10")
"""The deploying host as the lab's Internet sees it; the range to admit in a stack is this address/32."""
ADMINISTRATOR_GATEWAY: Final = IPv4Address("198.18.0.9")
WEB_SERVER: Final = IPv4Address("198.18.0.80")
"""Public web server in the lab's Internet; also the Debian package mirror (http, port 80)."""
AWS_ENDPOINTS: Final = IPv4Address("198.18.0.81")
"""Answers for `*.amazonaws.com` by TLS (port 443)."""
VPC_UPLINKS: Final = IPv4Network("198.18.0.128/25")
"""Point-to-point /31s between the Internet and each VPC's Internet gateway."""

MIRROR_HOST: Final = "mirror.lab.internal"
"""Name of the package mirror that the guest images have in their apt sources."""

INTERNET_NAMESPACE: Final = "lab-internet"
NAMESPACE_PREFIX: Final = "lab-"
"""Every network namespace the lab makes starts so, and no other does."""

INTERNAL_MTU: Final = 9001
EXTERNAL_MTU: Final = 1500
