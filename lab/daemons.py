"""Starts and stops the lab: the processes of the API, the data plane and the plugins, and everything they created."""

import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from lab import machines, network, preflight, processes, settings
from lab.data_plane import READY
from lab.preflight import API_PROCESS, DATA_PLANE_PROCESS, PLUGINS_PROCESS

_START_SECONDS = 30.0


class DaemonError(Exception):
    """A process of the lab did not start; the message names its log."""


def start() -> None:
    """Start the processes that do not run; return when the API and the data plane are ready."""
    preflight.check()
    if processes.find(API_PROCESS) is None:
        # A new API knows nothing of the resources of an old one, so what an old data plane created is removed.
        stop()
        _remove_old_logs()
        processes.start(
            API_PROCESS,
            [sys.executable, "-m", "lab.api", "--port", str(settings.API_PORT)],
            log=settings.LOGS / "api.log",
        )
    if processes.find(DATA_PLANE_PROCESS) is None:
        READY.unlink(missing_ok=True)
        processes.start(
            DATA_PLANE_PROCESS, [sys.executable, "-m", "lab.data_plane"], log=settings.LOGS / "data-plane.log"
        )
    if processes.find(PLUGINS_PROCESS) is None:
        command = [sys.executable, "-m", "lab.engine.warm", str(settings.WARM_PLUGINS)]
        processes.start(PLUGINS_PROCESS, command, log=settings.LOGS / "plugins.log")
    _wait(API_PROCESS, api_answers)
    _wait(DATA_PLANE_PROCESS, READY.exists)


def stop() -> list[str]:
    """End every process and remove every namespace, mount, interface and file of the lab; return what was removed.

    Needs only the records on this machine, and may be called at any time and repeatedly. Keeps caches, logs and
    evidence.
    """
    removed = []
    for name in (PLUGINS_PROCESS, DATA_PLANE_PROCESS, API_PROCESS):
        if processes.find(name) is not None:
            removed.append(f"process {name}")
        processes.stop(name)
    removed += machines.teardown.remove()
    removed += network.teardown.remove()
    for name in processes.names():
        processes.stop(name)
        removed.append(f"process {name}")
    shutil.rmtree(settings.RUN, ignore_errors=True)
    return removed


def api_answers() -> bool:
    """Tell whether the AWS API of this lab responds."""
    try:
        # The lab's own URL.
        with urllib.request.urlopen(f"{settings.API_URL}/_lab/generation?after=-1&timeout=0", timeout=2):  # noqa: S310
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _wait(process: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    log = settings.LOGS / f"{process}.log"
    while not ready():
        if processes.find(process) is None:
            raise DaemonError(f"lab: the process {process!r} ended while starting; see {log}")
        if time.monotonic() > deadline:
            raise DaemonError(f"lab: the process {process!r} did not answer within {_START_SECONDS:.0f} s; see {log}")
        time.sleep(0.05)


def _remove_old_logs() -> None:
    for name in (API_PROCESS, DATA_PLANE_PROCESS, PLUGINS_PROCESS):
        (settings.LOGS / f"{name}.log").unlink(missing_ok=True)
    shutil.rmtree(settings.LOGS / "machines", ignore_errors=True)
