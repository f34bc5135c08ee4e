"""Removes everything that the lab creates for the network. Needs no running data plane."""

import shutil

from lab import processes
from lab.network import kernel, names, namespaces, services


def remove() -> list[str]:
    """Remove DHCP servers, namespaces and the host's link with its routes; return one line for each.

    Safe to call again.
    """
    removed = []
    for process in processes.names(names.PROCESS_PREFIX):
        processes.stop(process)
        removed.append(f"process {process}")
    removed += [f"interface {link}" for link in kernel.delete_links(None, [names.administrator_link()])]
    for name in sorted(namespaces.present()):
        namespaces.remove(name)
        removed.append(f"namespace {name}")
    shutil.rmtree(services.directory(), ignore_errors=True)
    return removed
