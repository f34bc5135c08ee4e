"""Only one `vpn-configure` runs at a time."""

import contextlib
import fcntl
import time
from collections.abc import Iterator

from vpn_configure.errors import ConfigureError
from vpn_configure.machine import Machine

LOCK = "/run/vpn-configure.lock"


@contextlib.contextmanager
def lock(machine: Machine, seconds: float) -> Iterator[None]:
    """Hold the lock; raises ConfigureError when another process has held it for so many seconds."""
    deadline = time.monotonic() + seconds
    with machine.place(LOCK).open("w", encoding="ascii") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    who = f"another vpn-configure has held {LOCK} for {seconds:.0f} s"
                    raise ConfigureError(f"{who}: ps -C vpn-configure; wait for its end, then pulumi up") from None
            time.sleep(0.5)
        yield
