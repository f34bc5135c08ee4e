"""Makes a change count: all of it, or none."""

from collections.abc import Callable
from typing import NamedTuple

from vpn_configure import commit, keys, prepare
from vpn_configure.act import act
from vpn_configure.errors import ConfigureError
from vpn_configure.files import BEFORE, Changes, File, dump_old, parse_old, reverse
from vpn_configure.machine import Machine
from vpn_configure.steps import Step, plan, restricted

Tell = Callable[[str], None]


class Difference(NamedTuple):
    """What has to change."""

    on_disk: Changes
    """Files that are not as desired."""
    in_force: Changes
    """Those, and files that a killed run put in place: nothing has read them since."""


def put_in_place(machine: Machine, difference: Difference, *, installed: bool = True) -> None:
    """Put the files in place, and the keys; raises ConfigureError, and has then changed nothing."""
    if not difference.on_disk:
        return
    prepare.prepare(machine, difference.on_disk, installed=installed)
    old = {path: change.old for path, change in difference.in_force.items()}
    machine.write(BEFORE, File(0o600, dump_old({**old, **_keys_before(machine)})))
    prepare.forget(machine)
    commit.commit(machine)


def apply(machine: Machine, difference: Difference, tell: Tell) -> None:
    """Put the files in place and make them count; raises ConfigureError, after everything was taken back."""
    kept = _keys_before(machine)
    put_in_place(machine, difference)
    attempted = set[str]()
    try:
        _take(machine, plan(difference.in_force), difference.in_force, attempted, tell)
    except ConfigureError as error:
        if not difference.in_force:
            raise
        raise ConfigureError(f"{error}\n{_take_back(machine, difference.in_force, attempted, kept)}") from error
    forget(machine)


def forget(machine: Machine) -> None:
    """Note that all of the change counts, or none of it."""
    machine.place(BEFORE).unlink(missing_ok=True)


def _keys_before(machine: Machine) -> keys.Keys:
    """Return the keys that pluto has: those on the disk, unless a killed run has put others in place."""
    before = {path: file for path, file in parse_old(machine.read(BEFORE)).items() if file and keys.is_key(path)}
    return before or keys.read(machine)


def _take(machine: Machine, steps: list[Step], changes: Changes, attempted: set[str], tell: Tell) -> None:
    for step in steps:
        attempted.add(step.name)
        act(machine, step, changes, tell)


def _take_back(machine: Machine, done: Changes, attempted: set[str], kept: keys.Keys) -> str:
    """Put the old files in place again, and make them count; return what came of it."""
    back = reverse(done)
    try:
        commit.stage(machine, back)
        commit.commit(machine)
        keys.put_back(machine, kept)
        _take(machine, restricted(plan(back), attempted), back, set(), lambda _: None)
    except (ConfigureError, OSError) as error:
        return f"Not all of it could be taken back: {error}\nRemove the cause, then: sudo vpn-configure"
    forget(machine)
    return "The change was taken back: the gateway runs as before."
