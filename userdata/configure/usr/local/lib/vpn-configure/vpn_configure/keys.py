"""The files that pluto reads its keys from. They are in no list of files: vpn-secrets writes them."""

import fnmatch
from collections.abc import Mapping

from vpn_configure import pluto
from vpn_configure.commit import TREE, staged
from vpn_configure.errors import ConfigureError
from vpn_configure.files import Changes, File
from vpn_configure.machine import Machine
from vpn_configure.steps import LIBRARY, PROGRAMS, SECRETS

FOLDER = "/etc/ipsec.d"
SECONDS = 90
"""vpn-secrets tries for minutes, as a boot needs it. Here somebody waits for it."""

_NO_PLUTO = 33
"""whack's exit code without a pluto."""

Keys = Mapping[str, File]
"""Path -> file."""


def is_key(path: str) -> bool:
    """Return whether a path is that of keys."""
    return fnmatch.fnmatch(path, f"{FOLDER}/*.secrets")


def read(machine: Machine) -> dict[str, File]:
    """Return the keys on the disk."""
    return _found(machine, "")


def stage(machine: Machine, changes: Changes) -> list[str]:
    """Have vpn-secrets write the keys of a staged change beside its files; return their paths.

    Raises ConfigureError when they cannot be had. There is nothing to do unless the change is one of the secrets.
    """
    program = f"{PROGRAMS}/vpn-secrets"
    if not {SECRETS, program} & set(changes):
        return []
    settings = machine.place(staged(SECRETS))
    if not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(machine.read(SECRETS), encoding="utf-8")
    machine.place(staged(FOLDER)).mkdir(parents=True, exist_ok=True)
    new = program in changes and changes[program].new
    argv = [str(machine.place(staged(program))) if new else program]
    paths = f"VPN_ROOT={machine.place(TREE)}", f"PYTHONPATH={machine.place(staged(LIBRARY))}"
    done = machine.run("env", *paths, *argv, seconds=SECONDS)
    if done.code:
        last = "\n".join(done.output.splitlines()[-5:])
        raise ConfigureError(f"nothing has changed: vpn-secrets fails with {done.code}: {last}")
    return list(_found(machine, TREE))


def put_back(machine: Machine, kept: Keys) -> None:
    """Make the keys what they were."""
    present = read(machine)
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


def _found(machine: Machine, top: str) -> dict[str, File]:
    paths = [f"{FOLDER}/{path.name}" for path in machine.place(f"{top}{FOLDER}").glob("*.secrets")]
    return {path: file for path in paths if (file := machine.file(f"{top}{path}"))}
