"""API faults: the next calls of an action are refused or delayed, as a test requests."""

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from lab.api.errors import ApiError

DEFAULT_CODE: Final = "UnauthorizedOperation"
"""AWS's error for a caller without the right to call an action; SDKs do not retry it."""

_FIELDS: Final = frozenset({"action", "region", "code", "seconds", "times"})


class ApiFaultRequestError(ValueError):
    """A request for an API fault has wrong fields; the message names the valid ones."""


@dataclass
class ApiFault:
    """What happens to the next `times` calls of `action`."""

    action: str
    """As in the API, e.g. `RunInstances`."""
    region: str = ""
    """Only calls for this region; empty: any."""
    code: str = DEFAULT_CODE
    """AWS's error code, sent with HTTP status 400; empty: the call is only delayed, then answered normally."""
    seconds: float = 0.0
    """How long the call is delayed."""
    times: int = 1


class ApiFaults:
    """The pending API faults. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[ApiFault] = []

    def add(self, fields: Mapping[str, str]) -> None:
        """Add an API fault.

        Raises ApiFaultRequestError for a missing action, unknown fields, and times or seconds that are not numbers.
        """
        unknown = sorted(fields.keys() - _FIELDS)
        if unknown or not fields.get("action"):
            problem = f"has no field {', '.join(unknown)}" if unknown else "needs an action, e.g. RunInstances"
            raise ApiFaultRequestError(f"an API fault {problem}; its fields are {', '.join(sorted(_FIELDS))}")
        try:
            numbers: dict[str, Any] = {
                "seconds": float(fields.get("seconds", "0")),
                "times": int(fields.get("times", "1")),
            }
        except ValueError as error:
            raise ApiFaultRequestError(f"seconds and times of an API fault must be numbers: {error}") from error
        texts: dict[str, Any] = {name: fields[name] for name in ("action", "region", "code") if name in fields}
        with self._lock:
            self._faults.append(ApiFault(**texts, **numbers))

    def clear(self) -> None:
        """Remove all pending API faults."""
        with self._lock:
            self._faults.clear()

    def pending(self) -> list[dict[str, Any]]:
        """Return the pending API faults."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def apply(self, action: str, region: str) -> None:
        """Delay or refuse a call if an API fault is pending for it. Raises the ApiError that the fault names."""
        fault = self._take(action, region)
        if fault is None:
            return
        time.sleep(fault.seconds)
        if fault.code:
            raise ApiError(400, fault.code, f"{action} is refused by an API fault of the lab (see /_lab/faults).")

    def _take(self, action: str, region: str) -> ApiFault | None:
        with self._lock:
            for fault in self._faults:
                if fault.action == action and fault.region in {"", region}:
                    fault.times -= 1
                    if fault.times < 1:
                        self._faults.remove(fault)
                    return fault
        return None
