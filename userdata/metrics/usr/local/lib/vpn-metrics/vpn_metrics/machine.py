"""Reads the counters of this machine."""

import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pluto import whack
from vpn_metrics.data import Counters, Sa

_CONNTRACK = Path("/proc/sys/net/netfilter")


def counters(connections: Sequence[str]) -> Counters:
    """Return the counters of these connections, and of the gateway. What cannot be read is None."""
    tracked = _number("nf_conntrack_count")
    status = whack("--trafficstatus") if connections else None
    return Counters(
        plaintext_dropped=_plaintext_dropped(),
        connections=tracked,
        most_connections=_number("nf_conntrack_max") or 0,
        sas=None if status is None else {name: sas(name, status, time.time()) for name in connections},
    )


def sas(connection: str, status: str, now: float) -> dict[str, Sa]:
    """Return the SAs of a connection, also those between its other ranges, from `whack --trafficstatus`."""
    pattern = rf'(#\d+): "{re.escape(connection)}(?:/[^"]*)?".*? add_time=(\d+), inBytes=(\d+), outBytes=(\d+)'
    return {
        sa: Sa(age=max(0.0, now - int(added)), inward=int(inward), outward=int(outward))
        for sa, added, inward, outward in re.findall(pattern, status)
    }


def plaintext(rules: str) -> int:
    """Return how many packets the rules against plaintext have dropped, from `iptables-save --counters`.

    Not those of the gateway itself: it sends echoes also while pluto negotiates the tunnel again.
    """
    pattern = r"^\[(\d+):\d+\] -A VPN-(?:INPUT|FORWARD) .* --pol none -j DROP$"
    return sum(map(int, re.findall(pattern, rules, re.MULTILINE)))


def _plaintext_dropped() -> int | None:
    try:
        done = subprocess.run(
            ["iptables-save", "--counters", "--table", "filter"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return plaintext(done.stdout) if ":VPN-INPUT" in done.stdout else None


def _number(name: str) -> int | None:
    try:
        return int((_CONNTRACK / name).read_text(encoding="ascii"))
    except OSError:
        return None
