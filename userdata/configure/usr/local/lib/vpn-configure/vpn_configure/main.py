"""The command: makes the gateway what the last `pulumi up` asked for.

Exit code: 0 when it is, 1 when it is not, 2 when the command cannot run.
"""

import argparse
import os
import signal

from vpn_configure import root_volume
from vpn_configure.configure import configure, prepare_next
from vpn_configure.errors import ConfigureError
from vpn_configure.files import DESIRED, NEXT
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
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--prepare", action="store_true", help=f"only check what {NEXT} asks for, and fetch its keys")
    which.add_argument("--revision", help="make this gateway what was prepared as this revision")
    grows = "first wait for a root volume of this size, and let its file system fill it"
    parser.add_argument("--root-volume", type=int, metavar="GIB", help=grows)
    options = parser.parse_args()
    if os.geteuid():
        complain("needs root: sudo vpn-configure")
        return 2
    # The loss of the SSH session must not leave half a change.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.umask(0o077)
    machine = Machine()
    path = NEXT if options.prepare else DESIRED
    if not options.revision and not machine.read(path):
        complain(f"{path} does not exist: pulumi up writes it")
        return 2
    try:
        with lock(machine, options.wait):
            # First, because a full disk may be the reason for the larger one.
            is_grown = not options.root_volume or _grow(machine, options.root_volume)
            if options.prepare:
                lines = prepare_next(machine, options.wait)
            else:
                lines = configure(machine, options.wait, options.revision)
    except (ConfigureError, OSError) as error:
        complain(f"vpn-configure: {error}")
        return 1
    say("\n".join(lines))
    return 0 if is_grown else 1


def _grow(machine: Machine, gib: int) -> bool:
    """Let the root file system fill its volume; return whether it does. The files are applied either way.

    The other gateway applies its own at the same time, and both have to change.
    """
    try:
        if done := root_volume.grow(machine, gib):
            say(done)
    except (ConfigureError, OSError, ValueError) as error:
        complain(f"vpn-configure: {error}")
        return False
    return True
