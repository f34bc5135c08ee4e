"""The command: makes the gateway what the last `pulumi up` asked for.

Exit code: 0 when it is, 1 when it is not, 2 when the command cannot run.
"""

import argparse
import os
import signal

from vpn_configure.configure import configure
from vpn_configure.errors import ConfigureError
from vpn_configure.files import DESIRED, UNFINISHED
from vpn_configure.lock import lock
from vpn_configure.machine import Machine, complain, say

WAIT = 600
"""Seconds, of a call without `--wait`."""


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="vpn-configure", description="Makes this gateway what the last `pulumi up` asked for."
    )
    waits = "for the end of the first boot, and of another vpn-configure (default: %(default)s)"
    parser.add_argument("--wait", type=float, default=WAIT, metavar="SECONDS", help=waits)
    options = parser.parse_args()
    if os.geteuid():
        complain("needs root: sudo vpn-configure")
        return 2
    # The loss of the SSH session must not leave half a change.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    machine = Machine()
    if not machine.read(DESIRED):
        complain(f"{DESIRED} does not exist: pulumi up writes it")
        return 2
    try:
        with lock(machine, options.wait):
            try:
                lines = configure(machine, options.wait)
            finally:
                # Also what was refused or taken back has ended: the next boot does not try it again.
                machine.place(UNFINISHED).unlink(missing_ok=True)
    except (ConfigureError, OSError) as error:
        complain(f"vpn-configure: {error}")
        return 1
    say("\n".join(lines))
    return 0
