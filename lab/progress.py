"""Phases of long work, each with its name and seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STARTED = time.monotonic()


def say(text: str) -> None:
    """Print one plain line with the seconds since this command began."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def phase(name: str) -> Iterator[Callable[[str], None]]:
    """Announce a phase and, at its end, its seconds; yields a function for lines in between."""
    say(f"{name} ...")
    began = time.monotonic()
    try:
        yield say
    except BaseException:
        say(f"{name}: failed after {time.monotonic() - began:.1f} s")
        raise
    say(f"{name}: {time.monotonic() - began:.1f} s")
