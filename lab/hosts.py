"""The hosts of the lab by the names people use: an instance's `Name` tag or id, or `internet`."""

import subprocess
from collections.abc import Sequence

from lab import machines, settings

INTERNET = "internet"


def run(
    host: str, command: Sequence[str], *, stdin: bytes = b"", timeout: float = 60.0
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` as root on `host` and return its output and exit code.

    Raises LookupError, naming the hosts there are, when there is no such host; subprocess.TimeoutExpired
    after `timeout` seconds.
    """
    if host == INTERNET:
        return subprocess.run(
            ["ip", "netns", "exec", settings.INTERNET_NAMESPACE, *command],
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    return machines.execute(host, list(command), stdin=stdin, timeout=timeout)


def interface(host: str) -> str:
    """Return the name of the network interface to capture on."""
    return "any" if host == INTERNET else "ens5"
