"""Removes every machine without the data plane or the API, so that it also works after a crash."""

from lab import processes
from lab.machines import mounts, record

_PREFIXES = ("machine-", "host-")


def remove() -> list[str]:
    """End the processes of all machines, unmount and delete their directories; return what was removed.

    Console logs stay.
    """
    removed = []
    for name in (name for prefix in _PREFIXES for name in processes.names(prefix)):
        # Their disks are deleted next, so no time is given for an orderly shutdown.
        processes.stop(name, timeout=2.0)
        removed.append(f"machine {name}")
    if record.directory().exists():
        mounts.remove_tree(record.directory())
        removed.append("disks of machines")
    return removed
