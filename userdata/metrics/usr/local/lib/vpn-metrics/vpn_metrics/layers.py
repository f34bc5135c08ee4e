"""How many of vpn-verify's layers fail that look at this gateway alone."""

import fcntl
import json
import subprocess
from collections.abc import Callable
from typing import IO

VERIFY = ("/usr/local/bin/vpn-verify", "--own", "--json", "--wait", "4")
"""It looks again for some seconds when a layer fails: a restart of pluto is no fault."""

SECONDS = 30
"""vpn-verify's time: pluto alone has 20 to answer."""

LOCK = "/run/vpn-configure.lock"
"""vpn-configure holds it while it changes the gateway (flock(2))."""

PACKAGES = "/var/lib/dpkg/lock-frontend"
"""apt holds it while it installs packages (fcntl_locking(2)): that of Libreswan restarts pluto."""


def failed() -> int | None:
    """Return how many fail; None: it is unknown.

    That is so without vpn-verify, when it prints no document in time, and while vpn-configure or apt changes the
    gateway.
    """
    if _changes():
        return None
    found = _look()
    # No lock is held meanwhile: both gateways of a pair change at the same moment, and a look must delay neither.
    return None if _changes() else found


def _changes() -> bool:
    return _is_held(LOCK, fcntl.flock) or _is_held(PACKAGES, fcntl.lockf)


def _is_held(path: str, lock: Callable[[IO[bytes], int], None]) -> bool:
    """Return whether a process holds a lock for itself."""
    try:
        with open(path, "rb") as file:
            lock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        # Nothing has needed it since the boot.
        return False
    except OSError:
        return True
    return False


def _look() -> int | None:
    try:
        done = subprocess.run(VERIFY, capture_output=True, text=True, timeout=SECONDS, check=False)
        return [layer["status"] for layer in json.loads(done.stdout)["layers"]].count("failed")
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None
