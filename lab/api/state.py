"""The state that all parts of the API share: one lock, one journal, the pending API faults, and delayed changes."""

import os
import threading
from collections.abc import Callable
from typing import Final

from lab.api.api_faults import ApiFaults
from lab.api.journal import Journal

LOCK: Final = threading.RLock()
"""Held while a call is answered and while an instance changes its state.

moto is not thread-safe: its handlers read a dictionary while others change it. A call takes a few milliseconds of
Python, which only one thread can run at a time, so one lock for all regions costs nothing.
"""

JOURNAL: Final = Journal()

API_FAULTS: Final = ApiFaults()

TRANSITION_SECONDS: Final = float(os.environ.get("LAB_API_TRANSITION_SECONDS", "0.5"))
"""How long an instance stays pending, stopping or shutting-down. On AWS: ten seconds to a minute or more."""


def later(region: str, change: Callable[[], bool]) -> None:
    """Call `change` under the lock after `TRANSITION_SECONDS`, and record a change in `region` if it returns True."""

    def run() -> None:
        with LOCK:
            changed = change()
        if changed:
            JOURNAL.changed(region)

    timer = threading.Timer(TRANSITION_SECONDS, run)
    timer.daemon = True
    timer.start()
