"""strongSwan's programs in a separate Debian tree. Nothing is installed on this machine or starts by itself."""

import fcntl
import hashlib
from pathlib import Path

from lab import settings
from lab.machines import mounts
from lab.machines.build import run_logged
from lab.machines.host_sources import debian_sources

RELEASE = "bookworm"

PACKAGES = (
    "strongswan-charon",
    "strongswan-swanctl",
    # kernel-libipsec: ESP in user space over a TUN device, for a kernel without ESP.
    "libcharon-extra-plugins",
    "libstrongswan-standard-plugins",
    "iproute2",
    "iputils-ping",
    "dash",
    "coreutils",
)

# Directories and links that the packages' own scripts would make. They are not run.
_DIRECTORIES = ("proc", "sys", "run", "tmp")
_LINKS = {"var/run": "/run", "bin/sh": "dash"}


def ensure_tree() -> Path:
    """Return the tree, which must not be changed. The first call makes it in half a minute.

    Raises lab.machines.build.ImageError, whose message names the log. Needs root.
    """
    digest = hashlib.sha256(repr((RELEASE, PACKAGES, _DIRECTORIES, _LINKS)).encode()).hexdigest()
    tree = settings.CACHE / "strongswan" / f"{RELEASE}-{digest[:12]}"
    tree.parent.mkdir(parents=True, exist_ok=True)
    with (tree.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            _build(tree)
    return tree


def _build(tree: Path) -> None:
    building, log = tree.with_name(".building"), settings.LOGS / "strongswan-tree.log"
    mounts.remove_tree(building)
    log.parent.mkdir(parents=True, exist_ok=True)
    run_logged(
        [
            *("unshare", "--mount", "--propagation", "private"),
            # Unpacked only: no maintainer's script runs.
            *("mmdebstrap", "--variant=extract", "--mode=root", "--format=directory"),
            *('--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"'),
            *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
            f"--include={','.join(PACKAGES)}",
            *(RELEASE, str(building), *debian_sources(RELEASE)),
        ],
        log,
    )
    for directory in _DIRECTORIES:
        (building / directory).mkdir(exist_ok=True)
    for link, target in _LINKS.items():
        (building / link).unlink(missing_ok=True)
        (building / link).symlink_to(target)
    building.rename(tree)
