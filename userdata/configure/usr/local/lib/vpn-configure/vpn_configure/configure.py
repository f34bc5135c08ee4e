"""One run: what differs, whether it can change now, and the record of what was deployed."""

from vpn_configure import boot, commit, late
from vpn_configure.apply import Difference, apply, forget, put_in_place
from vpn_configure.errors import ConfigureError
from vpn_configure.files import (
    BEFORE,
    DEPLOYED,
    DESIRED,
    Changes,
    File,
    FileList,
    changes,
    dump,
    parse,
    parse_old,
)
from vpn_configure.machine import Machine
from vpn_configure.steps import UNITS

AT_BOOT = {"vpn-commit.service": "sysinit.target", "vpn-configure.service": "multi-user.target"}
"""The units that finish what a power cut has interrupted: the renames of a commit, and the whole change."""


def configure(machine: Machine, wait: float) -> list[str]:
    """Make the gateway what the desired list says; return a line for each change. Raises ConfigureError."""
    lines = list[str]()
    _finish_at_boot(machine)
    commit.finish(machine)
    desired = parse(machine.read(DESIRED), DESIRED)
    difference = differences(machine, desired)
    found = boot.boot(machine)
    only_late = difference.in_force.keys() == {late.PATH}
    if found.word == "running" and difference.in_force and not only_late:
        found = boot.after(machine, wait)
    if found.word == "done":
        apply(machine, difference, lines.append)
    elif only_late:
        late.put_in_place(machine, difference.in_force[late.PATH])
        forget(machine)
    elif difference.in_force:
        # The boot starts everything from the new files. Its packages may be missing, and with them the tools.
        put_in_place(machine, difference, installed=False)
        machine.run("systemctl", "daemon-reload")
        boot.again(machine)
        forget(machine)
    _record(machine, desired)
    return [*described(difference.in_force), *lines, f"revision {desired.revision}"]


def differences(machine: Machine, desired: FileList) -> Difference:
    """Return what is not as desired."""
    deployed = _deployed(machine)
    before = parse_old(machine.read(BEFORE))
    given = [*(deployed.files if deployed else ()), *before]
    disk = {path: machine.file(path) for path in (*desired.files, *given)}
    return Difference(changes(disk, desired.files, given), changes({**disk, **before}, desired.files, given))


def described(changed: Changes) -> list[str]:
    """Return a line for each changed file."""
    return [
        f"{path}: {'removed' if not change.new else 'changed' if change.old else 'added'}"
        for path, change in changed.items()
    ]


def _deployed(machine: Machine) -> FileList | None:
    """Return what was deployed last; None when nothing was, or the record cannot be read."""
    try:
        return parse(machine.read(DEPLOYED), DEPLOYED)
    except ConfigureError:
        return None


def _record(machine: Machine, desired: FileList) -> None:
    record = File(0o600, dump(desired))
    if machine.file(DEPLOYED) != record:
        machine.write(DEPLOYED, record)


def _finish_at_boot(machine: Machine) -> None:
    """Make sure that the next boot finishes a change which a power cut interrupts."""
    if not all(machine.place(f"{UNITS}/{target}.wants/{unit}").is_symlink() for unit, target in AT_BOOT.items()):
        # Without a reload of systemd: the units count from the next boot on.
        done = machine.run("systemctl", "enable", "-q", "--no-reload", *AT_BOOT)
        if done.code:
            raise ConfigureError(f"systemctl enable {' '.join(AT_BOOT)} fails with {done.code}: {done.output}")
