"""Calls of pluto, Libreswan's IKE daemon, and parsers of its answers.

Libreswan 4.10 to 5.4 have no machine-readable status: the patterns are those that all of them share.
"""

import re
import subprocess

WHACK = "/usr/libexec/ipsec/whack"
"""What ipsec(8) calls, in Debian 12 and 13: one process, where that shell script starts a dozen."""

NO_PLUTO = 33
"""whack's exit code without a pluto (RC_WHACK_PROBLEM)."""


def whack(*arguments: str, seconds: float = 5) -> str | None:
    """Return what pluto answers; None when it does not run, or gives no answer within `seconds`."""
    try:
        done = subprocess.run([WHACK, *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode == NO_PLUTO else done.stdout + done.stderr


def initiate(connection: str) -> bool:
    """Ask for a Child SA, without waiting for it; return whether pluto knows the connection.

    A connection of several pairs of ranges is initiated for all of them, or for one: `uk-to-au/1x2`.
    """
    answer = whack("--initiate", "--asynchronous", "--name", connection)
    return answer is not None and "no connection" not in answer


def traffic(connection: str, text: str) -> dict[str, tuple[int, int] | None]:
    """Return pair of ranges and SA, e.g. `/1x2#4`, -> bytes in and out, from `whack --trafficstatus`.

    A connection of one pair has no name for it: `#4`. None: the kernel has lost the SA.
    """
    found = re.findall(rf'(#\d+): "{re.escape(connection)}(/\w+)?"(?:.* inBytes=(\d+), outBytes=(\d+))?', text)
    return {pair + sa: (int(inward), int(outward)) if inward else None for sa, pair, inward, outward in found}
