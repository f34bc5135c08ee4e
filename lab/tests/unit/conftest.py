"""The fixtures that the tests of the API share."""

import threading
from collections.abc import Callable, Iterator

import pytest

from lab.api.state import LOCK
from lab.tests.unit.api_stack import served_api


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """Serve the API for a test file; give its URL."""
    with served_api() as url:
        yield url


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes the next delayed change of an instance or a volume, so that no clock decides what is seen."""
    # A change that an earlier test has begun would delay its next one in here.
    while timers := [each for each in threading.enumerate() if isinstance(each, threading.Timer)]:
        for timer in timers:
            timer.join()
    delayed = list[Callable[[], bool]]()
    for module in ("instances", "volumes"):
        monkeypatch.setattr(f"lab.api.{module}.later", lambda _region, change: delayed.append(change))

    def take() -> None:
        with LOCK:
            assert delayed.pop(0)()

    return take
