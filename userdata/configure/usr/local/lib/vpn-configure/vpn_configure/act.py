"""Takes steps on the machine."""

from collections.abc import Callable, Mapping

import ipsec_conf
from vpn_configure import pluto
from vpn_configure.errors import ConfigureError
from vpn_configure.files import Changes, File
from vpn_configure.machine import Machine
from vpn_configure.steps import Step, restarts_pluto

_NO_PLUTO = 33
"""whack's exit code without a pluto."""

SECRETS_SECONDS = 90
"""vpn-secrets tries for minutes, as a boot needs it. Here it is one of several steps that somebody waits for."""


def act(machine: Machine, step: Step, changes: Changes, tell: Callable[[str], None]) -> None:
    """Take a step; raises ConfigureError with the words of the command that failed."""
    if step.name == "connections":
        _connections(machine, changes, tell)
        return
    before = keys(machine)
    for argv in step.commands:
        done = machine.run(*argv, seconds=SECRETS_SECONDS if step.name == "secrets" else 120)
        if done.code:
            last = "\n".join(done.output.splitlines()[-5:])
            raise ConfigureError(f"{' '.join(argv)} fails with {done.code}: {last}")
    # The step `connections`, which is never left out, makes pluto read the keys that `secrets` has brought.
    if step.name != "secrets" and keys(machine) != before:
        reread(machine)


def keys(machine: Machine) -> dict[str, File | None]:
    """Return path -> file, of the files that pluto reads its keys from."""
    paths = [f"/etc/ipsec.d/{path.name}" for path in machine.place("/etc/ipsec.d").glob("*.secrets")]
    return {path: machine.file(path) for path in paths}


def put_keys_back(machine: Machine, kept: Mapping[str, File | None]) -> None:
    """Make those files what they were."""
    present = keys(machine)
    if present == kept:
        return
    for path in present.keys() | kept.keys():
        if file := kept.get(path):
            machine.write(path, file)
        else:
            machine.place(path).unlink()
    reread(machine)


def reread(machine: Machine) -> None:
    """Make pluto read its keys again."""
    done = machine.run(pluto.WHACK, "--rereadsecrets", seconds=20)
    if done.code not in {0, _NO_PLUTO}:
        raise ConfigureError(f"pluto does not read its secrets: {done.output}")


def _connections(machine: Machine, changes: Changes, tell: Callable[[str], None]) -> None:
    texts = {path: machine.read(path) for path in ipsec_conf.PATHS}
    changed = {path: changes[path].old for path in ipsec_conf.PATHS if path in changes}
    before = {path: file.text if file else "" for path, file in changed.items()}
    old, new = (ipsec_conf.parse("\n".join(each.values())) for each in ({**texts, **before}, texts))
    if restarts_pluto(changes):
        pluto.restart(machine, new)
        tell("ipsec: restarted, because config setup changed")
        return
    # Also without a change: a run that was killed may have brought a key that pluto has not read.
    reread(machine)
    pluto.reconcile(machine, old, new, tell)
