"""The record of API calls and changes: the data plane waits for changes, tests read the calls."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

KEPT_CALLS: Final = 5000
"""How many calls are kept; older ones are dropped."""

GLOBAL: Final = "global"
"""The region under which changes of global services (IAM) are counted."""


@dataclass(frozen=True, kw_only=True)
class RecordedCall:
    """One answered call. Holds neither parameters nor bodies: they may be secrets."""

    sequence: int
    time: float
    """Seconds since the epoch, when the answer was ready."""
    region: str
    service: str
    action: str
    duration_ms: float
    status: int
    """HTTP status."""
    error_code: str | None
    principal: str
    """`administrator`, or the role session's ARN."""


class Journal:
    """Counts changes and keeps calls. Thread-safe.

    The generation starts at the clock's milliseconds, so that it also grows from one run of the API to the next.
    """

    def __init__(self, *, kept_calls: int = KEPT_CALLS, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._generation = int(clock() * 1000)
        self._regions: Counter[str] = Counter()
        self._reboots: Counter[str] = Counter()
        self._calls: deque[RecordedCall] = deque(maxlen=kept_calls)
        self._sequence = 0

    def changed(self, region: str) -> None:
        """Record a change in `region`."""
        with self._changed:
            self._bump(region)

    def rebooted(self, instance_id: str) -> None:
        """Count a reboot of an instance. The RebootInstances call itself is recorded as the change."""
        with self._changed:
            self._reboots[instance_id] += 1

    def record(self, *, mutating: bool, **fields: Any) -> RecordedCall:
        """Record a call. A successful mutating call is also a change in its region."""
        with self._changed:
            self._sequence += 1
            call = RecordedCall(sequence=self._sequence, time=self._clock(), **fields)
            self._calls.append(call)
            if mutating and call.status < 400:
                self._bump(GLOBAL if call.service in {"iam", "sts"} else call.region)
            return call

    def wait(self, after: int, timeout: float) -> dict[str, Any]:
        """Return the counters once the generation is greater than `after`, at the latest after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._generation > after, timeout)
            return {
                "generation": self._generation,
                "regions": dict(self._regions),
                "reboots": dict(self._reboots),
            }

    def calls(self, after: int) -> list[dict[str, Any]]:
        """Return the kept calls with a sequence number greater than `after`, oldest first."""
        with self._changed:
            return [asdict(call) for call in self._calls if call.sequence > after]

    def _bump(self, region: str) -> None:
        self._generation += 1
        self._regions[region] = self._generation
        self._changed.notify_all()
