"""The file that is in no user data, on a machine whose first boot has not ended well."""

import ipsec_conf
from vpn_configure import pluto
from vpn_configure.files import Change
from vpn_configure.machine import Machine

PATH = ipsec_conf.KEY_PATH


def put_in_place(machine: Machine, change: Change) -> None:
    """Put the file in place at once, also while the boot runs, and load its connections if pluto answers.

    On each new machine, only this file differs. Waiting for the end of the boot would make this program report a boot
    that fails, and `vpn-verify` reports it better. No step of the boot needs the file. Its text depends only on the
    profile and on addresses, so no tool has to check it; the boot may be installing the tools at this moment.

    A pluto that does not answer yet will read the file itself, because it answers before it reads its connections.
    """
    old, new = (ipsec_conf.parse(file.text if file else "") for file in change)
    if change.new:
        machine.write(PATH, change.new)
    else:
        machine.place(PATH).unlink(missing_ok=True)
    pluto.load(machine, old, new)
