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
    """Return the names of the lab's namespaces, also of those that a crash left half made."""
    found = set()
    for directory in (_DIRECTORY, _CONFIGURATION):
        if directory.is_dir():
            found |= {path.name for path in directory.iterdir() if path.name.startswith(settings.NAMESPACE_PREFIX)}
    return found


def is_usable(name: str) -> bool:
    """Say whether the name is really bound to a network namespace."""
    try:
        return (_DIRECTORY / name).stat().st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def create(name: str) -> None:
    """Make a namespace; the rest of an unfinished one of that name is cleared away."""
    if (_DIRECTORY / name).exists():
        netns.remove(name)
    netns.create(name)


def remove(name: str) -> None:
    """Remove a namespace, its interfaces and its files under /etc/netns. Nothing there is fine."""
    if is_usable(name):
        kernel.delete_links(name)
    if (_DIRECTORY / name).exists():
        netns.remove(name)
    shutil.rmtree(_CONFIGURATION / name, ignore_errors=True)


def write_resolv_conf(name: str, text: str) -> None:
    """Give processes that `ip netns exec` starts in the namespace their /etc/resolv.conf."""
    path = _CONFIGURATION / name / "resolv.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
