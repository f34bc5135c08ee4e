"""Checks the requirements of the lab before it starts, and reports all problems at once, one per line."""

import os
import shutil
import socket
from collections.abc import Iterator

import psutil

from lab import processes, settings

API_PROCESS = "api"
DATA_PLANE_PROCESS = "data-plane"
PLUGINS_PROCESS = "plugins"

_GIB = 1024**3
_MEMORY_BYTES = 3 * _GIB
_DISK_BYTES = 6 * _GIB
_TOOLS = ("ip", "nft", "dnsmasq", "qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "tcpdump", "nsenter")


class PreflightError(Exception):
    """The lab cannot start on this machine; the message has all problems and their remedies."""


def check() -> None:
    """Raise PreflightError unless this machine meets the requirements of the lab."""
    problems = list(_problems())
    if problems:
        raise PreflightError("\n".join(f"lab: {problem}" for problem in problems))


def _problems() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "needs root to create network namespaces; run it as root (sudo make lab)"
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            yield f"the tool {tool!r} is missing; run `make setup`, which installs the packages of lab/packages.txt"
    running = processes.find(API_PROCESS) is not None
    if not running and _port_is_busy(settings.API_PORT):
        yield (
            f"port {settings.API_PORT} on 127.0.0.1 is used by another program; end that, or choose another port "
            "with LAB_API_PORT"
        )
    available = psutil.virtual_memory().available
    if not running and available < _MEMORY_BYTES:
        yield f"needs {_MEMORY_BYTES / _GIB:.0f} GiB of free memory, there are {available / _GIB:.1f}; free some"
    free = shutil.disk_usage(settings.ROOT).free
    if not running and free < _DISK_BYTES:
        yield f"needs {_DISK_BYTES / _GIB:.0f} GiB of disk at {settings.ROOT}, {free / _GIB:.1f} are free; free some"


def _port_is_busy(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
