"""Status lines of long operations: their phases, with seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the command began."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def phase(name: str) -> Iterator[Callable[[str], None]]:
    """Print the name of a phase and, at its end, its duration. Yields a function that prints lines in between."""
    say(f"{name} ...")
    began = time.monotonic()
    try:
        yield say
    except BaseException:
        say(f"{name}: failed after {time.monotonic() - began:.1f} s")
        raise
    say(f"{name}: {time.monotonic() - began:.1f} s")
