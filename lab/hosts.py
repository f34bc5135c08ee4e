"""Hosts of the lab by their names: an instance's `Name` tag or id, or `internet`."""

import subprocess
from collections.abc import Sequence

from lab import machines, settings

INTERNET = "internet"


def run(
    host: str,
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    timeout: float = 60.0,
    streams: machines.Streams | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` as root on `host`, and return its output and exit code; see `lab.machines.execute`."""
    if host == INTERNET:
        return subprocess.run(
            ["ip", "netns", "exec", settings.INTERNET_NAMESPACE, *command],
            input=stdin,
            stdout=streams.stdout if streams else subprocess.PIPE,
            stderr=streams.stderr if streams else subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    return machines.execute(host, list(command), stdin=stdin, timeout=timeout, streams=streams)


def interface(host: str) -> str:
    """Return the name of the network interface to capture on."""
    return "any" if host == INTERNET else "ens5"
