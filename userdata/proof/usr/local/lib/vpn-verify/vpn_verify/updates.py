"""The layer `updates`: Libreswan's version, whether updates are installed in the gateway's window, and what waits."""

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


def updates(daemon: Callable[[], str] | None, window: Callable[[], str] | None) -> str:
    """Tell what is known of the daemon's version, and of the window; each is None on a gateway without it."""
    # A daemon that is too old is named first, because it is what the Internet reaches.
    return ", ".join(each() for each in (daemon, window) if each)


def window(plan: str, record: str, *, modified: Callable[[str], float], now: float, pending: Callable[[], str]) -> str:
    """Check that updates can be installed, and tell when they were.

    `plan` and `record` are the texts of these files; `modified` returns when a file was written, 0 if there is none;
    `pending` returns what the installed updates still need, a line for each.
    """
    times = json.loads(plan)
    if not modified(UPGRADER):
        raise FinalError("unattended-upgrades is not installed", "sudo apt-get install unattended-upgrades")
    ran, held = modified(STAMP), _held(record)
    # Told, and no failure: a run needs the tunnel, and an `up` that mends the tunnel would still be red.
    overdue = [f"overdue for {PATIENCE // 86400} days"] if now - max(ran, modified(PLAN)) > PATIENCE else []
    waiting = [f"pending: {line}" for line in pending().splitlines()]
    return ", ".join([f"{times['begin']} to {times['end']} UTC", _last(ran), *overdue, *held, *waiting])


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
