"""Persistent network namespaces, as `ip netns` sees them."""

import os
import shutil
from pathlib import Path

from pyroute2 import netns  # type: ignore[import-untyped]

from lab import settings
from lab.network import kernel

# ip-netns(8)
_DIRECTORY = Path("/run/netns")
_CONFIGURATION = Path("/etc/netns")


def present() -> set[str]:
    """Return the names of the lab's namespaces, including those that a crash left incomplete."""
    names = set()
    for directory in (_DIRECTORY, _CONFIGURATION):
        if directory.is_dir():
            names |= {path.name for path in directory.iterdir() if path.name.startswith(settings.NAMESPACE_PREFIX)}
    return names


def is_usable(name: str) -> bool:
    """Return whether the name is bound to a network namespace."""
    try:
        return (_DIRECTORY / name).stat().st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def create(name: str) -> None:
    """Create a namespace; remove an incomplete one of that name first."""
    if (_DIRECTORY / name).exists():
        netns.remove(name)
    netns.create(name)


def remove(name: str) -> None:
    """Remove a namespace, its interfaces and its files under /etc/netns. Does nothing for what does not exist."""
    if is_usable(name):
        kernel.delete_links(name)
    if (_DIRECTORY / name).exists():
        netns.remove(name)
    shutil.rmtree(_CONFIGURATION / name, ignore_errors=True)


def write_resolv_conf(name: str, text: str) -> None:
    """Write the /etc/resolv.conf of processes that `ip netns exec` starts in the namespace."""
    path = _CONFIGURATION / name / "resolv.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
