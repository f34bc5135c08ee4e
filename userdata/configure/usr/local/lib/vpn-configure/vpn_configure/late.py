"""The files that are in no user data, on a machine whose first boot has not ended well."""

import ipsec_conf
from vpn_configure import pluto
from vpn_configure.act import act
from vpn_configure.files import BEFORE, Changes, File, dump_old
from vpn_configure.machine import Machine
from vpn_configure.steps import LOGIN, METRICS, UPDATES, plan

_BEGINNINGS = (ipsec_conf.KEY_PATH, *LOGIN, *METRICS, *UPDATES)
_STEPS = {"retire", "units", "timers", "sshd", "enable", "metrics"}


def are_late(changes: Changes) -> bool:
    """Return whether something changes, and only files that no step of the boot needs."""
    return bool(changes) and all(path.startswith(_BEGINNINGS) for path in changes)


def put_in_place(machine: Machine, changes: Changes) -> None:
    """Put the files in place at once, also while the boot runs, and make them count as far as that is possible.

    On each new machine, only these files differ. Waiting for the end of the boot would make this program report a boot
    that fails, and `vpn-verify` reports it better. No tool has to check their text: the component makes it of checked
    keys, addresses and choices. And the boot may be installing the tools at this moment.

    A pluto that does not answer yet will read its file itself, because it answers before it reads its connections.
    """
    # A run that is killed, or whose step fails, leaves this, and the next run takes all steps again.
    machine.write(BEFORE, File(0o600, dump_old({path: change.old for path, change in changes.items()})))
    for path, change in changes.items():
        if change.new:
            machine.write(path, change.new)
        else:
            machine.place(path).unlink(missing_ok=True)
    if key := changes.get(ipsec_conf.KEY_PATH):
        old, new = (ipsec_conf.parse(file.text if file else "") for file in key)
        pluto.load(machine, old, new)
    for step in plan(changes):
        if step.name in _STEPS:
            act(machine, step, changes, lambda _: None)
