"""The layer `updates`: whether security updates are installed in the gateway's window, and what waits for it.

There is no check of Libreswan's version against known flaws: Debian's packages for releases 12 and 13, 4.10-2+deb12u1
and 5.2-2.2, have had no security update that such a check could ask for.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from vpn_verify.layer import FinalError

PLAN = "/etc/vpn-gateway/updates.json"
"""The window. There is no such file on a gateway without one."""

RECORD = "/var/lib/vpn-gateway/updates.json"
"""The last decisions of vpn-updates."""

UPGRADER = "/usr/bin/unattended-upgrade"

STAMP = "/var/lib/apt/periodic/unattended-upgrades-stamp"
"""Written by unattended-upgrades at the end of a run that has succeeded, also of one with nothing to install."""

PATIENCE = 3 * 24 * 3600
"""Seconds. A tunnel may be down in one window, and vpn-verify is no alarm for that."""


def updates(plan: str, record: str, *, modified: Callable[[str], float], now: float, pending: Callable[[], str]) -> str:
    """Check that updates can be installed, and tell when they were.

    `plan` and `record` are the texts of these files; `modified` returns when a file was written, 0 if there is none;
    `pending` returns what the installed updates still need, a line for each.
    """
    window = json.loads(plan)
    if not modified(UPGRADER):
        raise FinalError("unattended-upgrades is not installed", "sudo apt-get install unattended-upgrades")
    ran, held = modified(STAMP), _held(record)
    # Told, and no failure: a run needs the tunnel, and an `up` that mends the tunnel would still be red.
    overdue = [f"overdue for {PATIENCE // 86400} days"] if now - max(ran, modified(PLAN)) > PATIENCE else []
    waiting = [f"pending: {line}" for line in pending().splitlines()]
    return ", ".join([f"{window['begin']} to {window['end']} UTC", _last(ran), *overdue, *held, *waiting])


def _last(ran: float) -> str:
    return time.strftime("last run %Y-%m-%d %H:%M", time.gmtime(ran)) if ran else "no run yet"


def _held(record: str) -> list[str]:
    """Return what was held back in the last window."""
    try:
        decisions: dict[str, Any] = json.loads(record)
        return [
            f"{kind} held back {each['time']}: {each['reason']}"
            for kind, each in decisions.items()
            if each["action"] == "held"
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
