"""Everything about a change that can fail while nothing has changed: its files, their checks and its keys."""

from hashlib import sha256

from vpn_configure import checks, ciphers, commit, keys
from vpn_configure.errors import ConfigureError
from vpn_configure.files import Changes, File
from vpn_configure.machine import Machine

PREPARED = "/run/vpn-configure.prepared"
"""The digest of the staged change. A power cut may damage what is staged, and it removes this file."""


def prepare(machine: Machine, wanted: Changes, *, installed: bool = True) -> None:
    """Stage a change, have the programs that read its files check them, and fetch its keys, unless that is done.

    Raises ConfigureError, and has then changed nothing. Before the packages are `installed`, tools may be missing, and
    the boot will fetch the keys.
    """
    digest = sha256(repr(sorted(wanted.items())).encode()).hexdigest()
    if machine.read(PREPARED) == digest:
        return
    forget(machine)
    commit.stage(machine, wanted)
    try:
        checks.check(machine, wanted, installed=installed)
        if installed:
            commit.add(machine, keys.stage(machine, wanted))
            ciphers.load(machine, wanted)
    except ConfigureError:
        commit.unstage(machine)
        raise
    machine.place(f"{commit.STAGE}/sshd_config").unlink(missing_ok=True)
    machine.write(PREPARED, File(0o600, digest))


def forget(machine: Machine) -> None:
    """Note that nothing is prepared."""
    machine.place(PREPARED).unlink(missing_ok=True)
