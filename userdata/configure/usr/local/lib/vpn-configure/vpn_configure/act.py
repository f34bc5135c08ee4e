"""Takes steps on the machine."""

from collections.abc import Callable

import ipsec_conf
from vpn_configure import keys, pluto
from vpn_configure.errors import ConfigureError
from vpn_configure.files import Changes
from vpn_configure.machine import Machine
from vpn_configure.steps import UNITS, Step, restarts_pluto


def act(machine: Machine, step: Step, changes: Changes, tell: Callable[[str], None]) -> None:
    """Take a step; raises ConfigureError with the words of the command that failed."""
    if step.name == "connections":
        _connections(machine, changes, tell)
        return
    if step.name == "watch" and not machine.read(f"{UNITS}/vpn-watch.service"):
        # Without peers there is nothing to watch.
        return
    for argv in step.commands:
        done = machine.run(*argv)
        if done.code:
            last = "\n".join(done.output.splitlines()[-5:])
            raise ConfigureError(f"{' '.join(argv)} fails with {done.code}: {last}")


def _connections(machine: Machine, changes: Changes, tell: Callable[[str], None]) -> None:
    texts = {path: machine.read(path) for path in ipsec_conf.PATHS}
    changed = {path: changes[path].old for path in ipsec_conf.PATHS if path in changes}
    before = {path: file.text if file else "" for path, file in changed.items()}
    if not any([*texts.values(), *before.values()]):
        # Without peers there is no pluto.
        return
    old, new = (ipsec_conf.parse("\n".join(each.values())) for each in ({**texts, **before}, texts))
    if restarts_pluto(changes):
        pluto.restart(machine, new)
        tell("ipsec: restarted, because config setup changed")
        return
    # Also without a change: a run that was killed may have brought a key that pluto has not read.
    keys.reread(machine)
    pluto.reconcile(machine, old, new, tell)
