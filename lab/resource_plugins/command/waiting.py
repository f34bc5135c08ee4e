"""Runs a coroutine for a blocking handler, and cancels it when the engine cancels."""

import asyncio
import math
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from lab.resource_plugins.base import Call, CancelledError

T = TypeVar("T")

_POLL_SECONDS = 0.1
"""Time until a cancellation is noticed."""


def run(call: Call, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`. Raises CancelledError as soon as the engine cancels."""
    return asyncio.run(_unless_cancelled(call, work))


def seconds_left(call: Call) -> float | None:
    """Return the remaining time of the operation; None without a limit, which is the default."""
    if math.isinf(call.timeout):
        return None
    return max(0.0, call.started + call.timeout - time.monotonic())


async def _unless_cancelled(call: Call, work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    while not (await asyncio.wait({task}, timeout=_POLL_SECONDS))[0]:
        if call.cancelled.is_set():
            task.cancel()
            await asyncio.wait({task})
            raise CancelledError("context canceled")
    return task.result()
