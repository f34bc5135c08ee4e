"""What every part of the API shares: one lock, one journal, faults to come, one clock for changes that happen alone."""

import os
import threading
from collections.abc import Callable
from typing import Final

from lab.api.api_faults import Faults
from lab.api.journal import Journal

LOCK: Final = threading.RLock()
"""Held while a call is answered and while an instance changes its state.

moto is not thread-safe: its handlers read a dictionary while others change it. A call is a few milliseconds of Python,
which only one thread can run anyway, so one lock for all regions costs nothing.
"""

JOURNAL: Final = Journal()

FAULTS: Final = Faults()

TRANSITION_SECONDS: Final = float(os.environ.get("LAB_API_TRANSITION_SECONDS", "0.5"))
"""How long an instance stays pending, stopping or shutting-down. On AWS: ten seconds to a minute or more."""


def later(region: str, change: Callable[[], bool]) -> None:
    """Make `change` after `TRANSITION_SECONDS`, under the lock; it returns whether it changed anything in `region`."""

    def make() -> None:
        with LOCK:
            changed = change()
        if changed:
            JOURNAL.changed(region)

    timer = threading.Timer(TRANSITION_SECONDS, make)
    timer.daemon = True
    timer.start()
