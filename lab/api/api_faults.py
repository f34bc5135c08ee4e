"""Faults that a test asks for: the next calls of an action are refused, or answered late."""

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from lab.api.errors import ApiError

DEFAULT_CODE: Final = "UnauthorizedOperation"
"""AWS's answer to who may not do something; SDKs do not try it again."""

_FIELDS: Final = frozenset({"action", "region", "code", "seconds", "times"})


class FaultRequestError(ValueError):
    """A fault was asked for in words that are not understood; the message says which are."""


@dataclass
class Fault:
    """What happens to the next `times` calls of `action`."""

    action: str
    """As in the API, e.g. `RunInstances`."""
    region: str = ""
    """Only calls for this region; empty: any."""
    code: str = DEFAULT_CODE
    """AWS's error code, sent with HTTP status 400; empty: the call is answered as ever, only late."""
    seconds: float = 0.0
    """How long the call is held back first."""
    times: int = 1


class Faults:
    """The faults to come. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fields: Mapping[str, str]) -> None:
        """Add a fault. Raises FaultRequestError for a missing action, unknown fields and values that are no numbers."""
        unknown = sorted(fields.keys() - _FIELDS)
        if unknown or not fields.get("action"):
            wrong = f"does not know {', '.join(unknown)}" if unknown else "needs an action, e.g. RunInstances"
            raise FaultRequestError(f"a fault {wrong}; its fields are {', '.join(sorted(_FIELDS))}")
        try:
            numbers: dict[str, Any] = {
                "seconds": float(fields.get("seconds", "0")),
                "times": int(fields.get("times", "1")),
            }
        except ValueError as error:
            raise FaultRequestError(f"seconds and times of a fault are numbers: {error}") from error
        texts: dict[str, Any] = {name: fields[name] for name in ("action", "region", "code") if name in fields}
        with self._lock:
            self._faults.append(Fault(**texts, **numbers))

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return what is still to come."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def meet(self, action: str, region: str) -> None:
        """Let a call run into the first fault that is meant for it. Raises the ApiError that the fault names."""
        fault = self._take(action, region)
        if fault is None:
            return
        time.sleep(fault.seconds)
        if fault.code:
            raise ApiError(400, fault.code, f"{action} is refused by a fault of the lab (see /_lab/faults).")

    def _take(self, action: str, region: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.action == action and fault.region in {"", region}:
                    fault.times -= 1
                    if fault.times < 1:
                        self._faults.remove(fault)
                    return fault
        return None
