"""Session tokens of the metadata service: valid for one instance and a limited time."""

import secrets
import threading
import time
from collections.abc import Callable

MAXIMUM_SECONDS = 21600
"""Longest time to live, six hours.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""


class Tokens:
    """The valid tokens. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._expiry: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def issue(self, instance_id: str, seconds: int) -> str:
        """Return a new token for the instance; drop all expired tokens."""
        token = secrets.token_urlsafe(40)
        with self._lock:
            now = self._clock()
            self._expiry = {key: expiry for key, expiry in self._expiry.items() if expiry > now}
            self._expiry[instance_id, token] = now + seconds
        return token

    def seconds_left(self, instance_id: str, token: str) -> int:
        """Return for how many whole seconds the token is still valid for the instance; 0 or less if it is not."""
        with self._lock:
            return int(self._expiry.get((instance_id, token), 0) - self._clock())


def lifetime(text: str | None) -> int | None:
    """Return the lifetime that a request's header asks for, or None when it is missing or outside 1..21600."""
    if text is None or not text.isascii() or not text.isdigit():
        return None
    seconds = int(text)
    return seconds if 1 <= seconds <= MAXIMUM_SECONDS else None
