"""One run: what differs, whether it can change now, and the record of what was deployed."""

from vpn_configure import boot, commit, keys, late
from vpn_configure.act import act
from vpn_configure.apply import Difference, apply, forget, put_in_place
from vpn_configure.errors import ConfigureError
from vpn_configure.files import (
    BEFORE,
    DEPLOYED,
    DESIRED,
    NEXT,
    UNFINISHED,
    Changes,
    File,
    FileList,
    changes,
    dump,
    parse,
    parse_old,
)
from vpn_configure.machine import Machine, sync_folder
from vpn_configure.prepare import prepare
from vpn_configure.steps import UNITS, plan

AT_BOOT = {"vpn-commit.service": "sysinit.target", "vpn-configure.service": "multi-user.target"}
"""The units that finish what a power cut has interrupted: the renames of a commit, and the whole change."""


def prepare_next(machine: Machine, wait: float) -> list[str]:
    """Check what is to come and fetch its keys; return a line for each file that will change. Raises ConfigureError.

    The gateway runs on as it is. But what it should run already is not prepared, it is repaired: after a change that
    was cut off, the way back is such a list.
    """
    coming = parse(machine.read(NEXT), NEXT)
    deployed = _deployed(machine)
    if deployed and deployed.revision == coming.revision:
        return configure(machine, wait, coming.revision)
    commit.finish(machine)
    difference = differences(machine, coming)
    found = _boot(machine, difference, wait)
    if found.word == "done" and difference.on_disk:
        prepare(machine, difference.on_disk)
    return [*described(difference.in_force), f"revision {coming.revision} can come"]


def configure(machine: Machine, wait: float, revision: str | None = None) -> list[str]:
    """Make the gateway what was prepared as this revision; None: what it was last asked for.

    Returns a line for each change. Raises ConfigureError.
    """
    machine.write(UNFINISHED, File(0o600, ""))
    try:
        if revision:
            _decide_for(machine, revision)
        return _configure(machine, wait)
    finally:
        # Also what was refused or taken back has ended: the next boot does not try it again.
        machine.place(UNFINISHED).unlink(missing_ok=True)


def _configure(machine: Machine, wait: float) -> list[str]:
    lines = list[str]()
    _finish_at_boot(machine)
    commit.finish(machine)
    desired = parse(machine.read(DESIRED), DESIRED)
    difference = differences(machine, desired)
    found = _boot(machine, difference, wait)
    if found.word == "done":
        apply(machine, difference, lines.append)
    elif late.are_late(difference.in_force):
        late.put_in_place(machine, difference.in_force)
        forget(machine)
    elif difference.in_force:
        # The boot starts everything from the new files. Its packages may be missing, and with them the tools.
        put_in_place(machine, difference, installed=False)
        machine.run("systemctl", "daemon-reload")
        # No step of the boot reloads it.
        for step in (step for step in plan(difference.in_force) if step.name == "sshd"):
            act(machine, step, difference.in_force, lines.append)
        boot.again(machine)
        forget(machine)
    _record(machine, desired)
    return [*described(difference.in_force), *lines, f"revision {desired.revision}"]


def differences(machine: Machine, desired: FileList) -> Difference:
    """Return what is not as desired."""
    deployed = _deployed(machine)
    before = {path: file for path, file in parse_old(machine.read(BEFORE)).items() if not keys.is_key(path)}
    given = [*(deployed.files if deployed else ()), *before]
    disk = {path: machine.file(path) for path in (*desired.files, *given)}
    return Difference(changes(disk, desired.files, given), changes({**disk, **before}, desired.files, given))


def described(changed: Changes) -> list[str]:
    """Return a line for each changed file."""
    return [
        f"{path}: {'removed' if not change.new else 'changed' if change.old else 'added'}"
        for path, change in changed.items()
    ]


def _decide_for(machine: Machine, revision: str) -> None:
    """Make what was prepared as this revision the desired list, unless it is that already."""
    for path in (NEXT, DESIRED):
        try:
            found = parse(machine.read(path), path).revision
        except ConfigureError:
            continue
        if found == revision:
            machine.place(path).replace(machine.place(DESIRED))
            sync_folder(machine.place(DESIRED).parent)
            return
    remedy = "pulumi up --replace with the URN of its …-prepare"
    raise ConfigureError(f"revision {revision} was not prepared on this gateway: {remedy}")


def _boot(machine: Machine, difference: Difference, wait: float) -> boot.Boot:
    """Return how far the first boot is, at its end if something has to wait for that."""
    found = boot.boot(machine)
    if found.word == "running" and difference.in_force and not late.are_late(difference.in_force):
        return boot.after(machine, wait)
    return found


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
