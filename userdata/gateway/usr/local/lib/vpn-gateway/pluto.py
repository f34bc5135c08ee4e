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
    """Ask for a Child SA, without waiting for it; return whether pluto knows the connection."""
    answer = whack("--initiate", "--asynchronous", "--name", connection)
    return answer is not None and "no connection" not in answer


def traffic(connection: str, text: str) -> dict[str, tuple[int, int] | None]:
    """Return SA -> bytes in and out (None: the kernel has lost the SA), from `whack --trafficstatus`.

    An SA is `#4` between the ranges of the gateways' addresses, and `/10.1.0.0/16=10.20.0.0/16#5` between others.
    """
    found = re.findall(rf'(#\d+): "{re.escape(connection)}(/[^"]*)?"(?:.* inBytes=(\d+), outBytes=(\d+))?', text)
    return {pair + sa: (int(inward), int(outward)) if inward else None for sa, pair, inward, outward in found}
