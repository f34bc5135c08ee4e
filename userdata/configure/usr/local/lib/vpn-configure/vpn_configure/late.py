"""The file that is in no user data, on a machine whose first boot has not ended well."""

import ipsec_conf
from vpn_configure import pluto
from vpn_configure.files import Change
from vpn_configure.machine import Machine

PATH = ipsec_conf.KEY_PATH


def put_in_place(machine: Machine, change: Change) -> None:
    """Put the file in place at once, also while the boot runs.

    Every fresh machine lacks this file alone. To wait for the end of its boot would name a boot that fails here, where
    `vpn-verify` names it better. And nothing of the boot needs the file. Its text depends on the profile and on
    addresses alone, so no tool has to check it, which the boot may be installing just now.

    A pluto that does not answer yet reads the file by itself: it answers before it reads its connections. One that
    answers is told.
    """
    old, new = (ipsec_conf.parse(file.text if file else "") for file in change)
    if change.new:
        machine.write(PATH, change.new)
    else:
        machine.place(PATH).unlink(missing_ok=True)
    pluto.load(machine, old, new)
