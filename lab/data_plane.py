"""The data plane: a process that makes the lab's network and machines match the state of the AWS API.

`lab up` starts it, and SIGTERM ends it. It long-polls the API's generation number, reads the whole world when the
number has changed, and applies it. Everything it creates is recorded outside the process, so that `lab down` can remove
it after a crash.
"""

import json
import logging
import signal
import time
import urllib.request
from pathlib import Path
from types import FrameType

from lab import settings
from lab.machines import Machines
from lab.network import Network
from lab.network.internet import InternetServices
from lab.observe import observe
from lab.status_checks import StatusChecks

READY: Path = settings.RUN / "data-plane.ready"
"""Exists while the data plane is ready; `lab up` waits for it."""

_LONG_POLL_SECONDS = 2.0
_log = logging.getLogger("lab.data_plane")


class _Api:
    """The API's generation number, and the regions and reboots that came with it."""

    def __init__(self) -> None:
        self.generation = -1
        self.regions: dict[str, int] = {}
        self.reboots: dict[str, int] = {}

    def wait_for_change(self) -> bool:
        """Return True when something has changed since the last call, False after a time without a change."""
        url = f"{settings.API_URL}/_lab/generation?after={self.generation}&timeout={_LONG_POLL_SECONDS}"
        with urllib.request.urlopen(url, timeout=_LONG_POLL_SECONDS + 10) as response:  # noqa: S310 - our own http URL
            document = json.load(response)
        changed: bool = document["generation"] != self.generation
        self.generation = document["generation"]
        self.regions = document["regions"]
        self.reboots = document["reboots"]
        return changed


def run() -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # Not a threading.Event: a handler that interrupts a wait for the event could not set it.
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    network, machines, api = Network(), Machines(), _Api()
    # Applied before the services start, so that machines that an earlier data plane started keep their network.
    api.wait_for_change()
    world = observe(api.regions, api.reboots)
    network.apply(world)
    services, checks = InternetServices(settings.API_PORT), StatusChecks()
    services.start()
    checks.start()
    READY.write_text(f"{time.time()}\n")
    try:
        while not stopping:
            try:
                changed = api.wait_for_change()
                if stopping:
                    break  # applying the world would start machines again that ended together with this process
                if changed:
                    world = observe(api.regions, api.reboots)
                # Applied even without a change, to repair machines that died and steps that failed.
                network.apply(world)
                machines.apply(world)
                checks.observe(world)
            except OSError as error:
                _log.warning("the API at %s does not respond: %s", settings.API_URL, error)
                time.sleep(1)
            except Exception:
                _log.exception("the world could not be applied; trying again")
                api.generation = -1
                time.sleep(1)
    finally:
        READY.unlink(missing_ok=True)
        checks.stop()
        services.stop()
        machines.close()
        network.close()


if __name__ == "__main__":
    run()
