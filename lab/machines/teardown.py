"""Removes every machine there is, without asking anybody: after a crash too."""

from lab import processes
from lab.machines import mounts, record

_PREFIXES = ("machine-", "host-")


def remove() -> list[str]:
    """End all machines' processes, unmount what is below their directories, delete these; return what was removed.

    Nothing there is fine. Console logs stay.
    """
    removed = []
    for name in (name for prefix in _PREFIXES for name in processes.names(prefix)):
        # Nobody will look at their disks again: no time is given for an orderly end.
        processes.stop(name, timeout=2.0)
        removed.append(f"machine {name}")
    if record.directory().exists():
        mounts.remove_tree(record.directory())
        removed.append("disks of machines")
    return removed
