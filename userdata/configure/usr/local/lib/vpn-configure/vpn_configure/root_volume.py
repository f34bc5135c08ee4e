"""A root volume that was made larger while this machine runs: its partition and its file system follow.

Only Debian's own layout is known: ext4 on a partition or on the whole disk. Another one is left alone.
"""

import json
import time
from typing import Any, NamedTuple

from vpn_configure.errors import ConfigureError
from vpn_configure.machine import NO_COMMAND, Machine

WAIT = 60
"""Seconds until a new size appears. The provider has waited until EC2 says that it counts."""

GIB = 1024**3
SECTOR = 512
SLACK = 8 * 1024**2
"""Bytes that may be left behind the last partition: the second partition table is there."""

NO_CHANGE = "NOCHANGE"
"""How growpart begins its answer when the partition cannot grow. It then exits with 1."""

NOTHING = "Nothing to do"
"""What resize2fs says when the file system is as large as its device."""


class Root(NamedTuple):
    """Where the root file system is."""

    device: str
    """The device that has the file system."""
    disk: str
    disk_bytes: int
    partition: str
    """The number of the partition on the disk; empty if the disk has none."""
    end: int
    """Where the partition ends on the disk, in bytes."""


def grow(machine: Machine, gib: int, wait: float = WAIT) -> str:
    """Let the root file system fill a volume of so many GiB; return what was done, if anything. Raises ConfigureError.

    A partition that has another one behind it keeps its size.
    """
    if not (root := _of_size(machine, gib, wait)):
        return ""
    if root.partition and root.disk_bytes - root.end > SLACK:
        _run(machine, "cloud-guest-utils", "growpart", root.disk, root.partition, harmless=NO_CHANGE)
    said = _run(machine, "e2fsprogs", "resize2fs", root.device)
    return "" if NOTHING in said else f"root file system: grown on a volume of {root.disk_bytes // GIB} GiB"


def _of_size(machine: Machine, gib: int, wait: float) -> Root | None:
    deadline = time.monotonic() + wait
    while (root := find(machine)) and root.disk_bytes < gib * GIB:
        if time.monotonic() >= deadline:
            raise ConfigureError(
                f"the root volume is to have {gib} GiB, but {root.disk} has {root.disk_bytes // GIB} after "
                f"{wait:.0f} s: see the volume's modification in the EC2 console, then pulumi up again"
            )
        time.sleep(1)
    return root


def find(machine: Machine) -> Root | None:
    """Return where the root file system is, None for a layout that is not known here. Raises ConfigureError."""
    what = ("--noheadings", "--nofsroot", "--output", "SOURCE,FSTYPE", "/")
    device, kind = _run(machine, "util-linux", "findmnt", *what).rsplit(maxsplit=1)
    if kind != "ext4":
        return None
    listed = machine.run("lsblk", "--json", "--bytes", "--inverse", "--output", "NAME,TYPE,SIZE", device)
    if listed.code:
        return None
    layers = _layers(json.loads(listed.output)["blockdevices"])
    kinds, (disk, size) = [each["type"] for each in layers], (layers[-1]["name"], int(layers[-1]["size"]))
    if kinds == ["disk"]:
        return Root(device, f"/dev/{disk}", size, "", size)
    if kinds != ["part", "disk"]:
        return None
    folder = f"/sys/class/block/{layers[0]['name']}"
    number, start = machine.read(f"{folder}/partition").strip(), int(machine.read(f"{folder}/start")) * SECTOR
    return Root(device, f"/dev/{disk}", size, number, start + int(layers[0]["size"]))


def _layers(devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the devices from that of the file system down to the disks."""
    below = [child for device in devices for child in device.get("children", ())]
    return [*devices, *(_layers(below) if below else [])]


def _run(machine: Machine, package: str, *argv: str, harmless: str | None = None) -> str:
    """Return what a command of a package says. Raises ConfigureError when it fails, except with a `harmless` answer."""
    # growpart needs a place for temporary files, also when the disk is full.
    done = machine.run("env", "LC_ALL=C", "TMPDIR=/run", *argv)
    if done.code == NO_COMMAND:
        raise ConfigureError(f"{done.output}: apt-get install {package}, then pulumi up")
    if done.code and not (harmless and done.output.startswith(harmless)):
        raise ConfigureError(f"{' '.join(argv)} fails with {done.code}: {done.output}")
    return done.output
