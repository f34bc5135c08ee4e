"""The data plane: a process that makes this machine's network and machines agree with what the AWS API says.

Started by `lab up`, one process, ended by SIGTERM. It long-polls the API's generation number, reads the whole world
whenever that has grown, and applies it; what it makes is recorded outside the process, so that `lab down` can remove it
after a crash.
"""

import json
import logging
import signal
import threading
import time
import urllib.request
from pathlib import Path
from types import FrameType

from lab import settings
from lab.machines import Machines
from lab.network import Network
from lab.network.internet import InternetServices
from lab.observe import observe

READY: Path = settings.RUN / "data-plane.ready"
"""Written once the data plane serves; `lab up` waits for it."""

_LONG_POLL_SECONDS = 2.0
_log = logging.getLogger("lab.data_plane")


class _Api:
    """What the data plane knows of the API: whether anything has changed, and where."""

    def __init__(self) -> None:
        self.generation = -1
        self.regions: dict[str, int] = {}
        self.reboots: dict[str, int] = {}

    def wait_for_change(self) -> bool:
        """Return True when something changed since the last call, False after a while without."""
        url = f"{settings.API_URL}/_lab/generation?after={self.generation}&timeout={_LONG_POLL_SECONDS}"
        with urllib.request.urlopen(url, timeout=_LONG_POLL_SECONDS + 10) as response:  # noqa: S310 - our own http URL
            answer = json.load(response)
        changed: bool = answer["generation"] != self.generation
        self.generation = answer["generation"]
        self.regions = answer["regions"]
        self.reboots = answer["reboots"]
        return changed


def run() -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    network, machines, api = Network(), Machines(), _Api()
    # The first look comes before the first step: machines that an earlier data plane started keep their network.
    api.wait_for_change()
    world = observe(api.regions, api.reboots)
    network.apply(world)
    services = InternetServices(settings.API_PORT)
    services.start()
    READY.write_text(f"{time.time()}\n")
    try:
        while not stopping.is_set():
            try:
                changed = api.wait_for_change()
                if stopping.is_set():
                    break  # else what has just been ended with this process would be started again
                if changed:
                    world = observe(api.regions, api.reboots)
                # Applied even without a change: a machine that died, or a step that failed, is put right.
                network.apply(world)
                machines.apply(world)
            except OSError as error:
                _log.warning("the API at %s does not answer: %s", settings.API_URL, error)
                stopping.wait(1)
            except Exception:
                _log.exception("the world could not be applied; trying again")
                api.generation = -1
                stopping.wait(1)
    finally:
        READY.unlink(missing_ok=True)
        services.stop()
        machines.close()
        network.close()


if __name__ == "__main__":
    run()
