"""EC2's status checks: each minute the data plane asks each running instance, and gives the results to the API.

The instance check is real: it fails if the guest does not answer ARP on its interface, as on AWS (EC2 user guide,
"Instance status checks"). The system check always passes: this machine is the host of all instances.
"""

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from lab import settings
from lab.machines import record
from lab.network import arp, names
from lab.world import World

_log = logging.getLogger("lab.status_checks")

_INTERVAL_SECONDS: Final = 60.0
_INITIALIZING_SECONDS: Final = 300.0
"""How long after a start a guest that never answered has not failed yet: it boots."""
_WORKERS: Final = 8


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An instance, and where its VPC's router reaches it."""

    instance_id: str
    region: str
    namespace: str
    interface: str
    router: IPv4Address
    address: IPv4Address


class StatusChecks:
    """A thread that checks the running instances of the current world."""

    def __init__(
        self,
        *,
        answers: Callable[[Subject], bool] | None = None,
        started_at: Callable[[str], float] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._answers = answers or _answers
        self._started_at = started_at or _started_at
        self._clock = clock
        self._world = World(vpcs=(), instances=())
        self._stopping = threading.Event()
        self._passed: dict[str, float] = {}
        """Instance id -> the start after which it has passed."""
        self._thread = threading.Thread(target=self._run, name="status-checks", daemon=True)

    def start(self) -> None:
        """Check each minute until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further check."""
        self._stopping.set()

    def observe(self, world: World) -> None:
        """Check the instances of `world` from now on."""
        self._world = world

    def results(self) -> dict[str, dict[str, bool]]:
        """Check all instances; return for each region whether the check of an instance failed."""
        subjects = list(subjects_of(self._world))
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            failed = list(pool.map(self._has_failed, subjects))
        results: dict[str, dict[str, bool]] = {}
        for subject, result in zip(subjects, failed, strict=True):
            results.setdefault(subject.region, {})[subject.instance_id] = result
        return results

    def _has_failed(self, subject: Subject) -> bool:
        started = self._started_at(subject.instance_id)
        if self._answers(subject):
            self._passed[subject.instance_id] = started
            return False
        is_initializing = self._clock() - started < _INITIALIZING_SECONDS
        return self._passed.get(subject.instance_id) == started or not is_initializing

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL_SECONDS):
            try:
                _report(self.results())
            except Exception:  # the thread must go on, whatever fails
                # The API may be gone for a moment. Alarms then see a missing datapoint.
                _log.exception("the status checks could not be reported")


def subjects_of(world: World) -> Iterator[Subject]:
    """Yield the running instances of a world."""
    interfaces = {interface.id: interface for vpc in world.vpcs for interface in vpc.network_interfaces}
    subnets = {subnet.id: subnet for vpc in world.vpcs for subnet in vpc.subnets}
    for instance in world.instances:
        interface = interfaces.get(instance.network_interface_id)
        if instance.state == "running" and interface is not None:
            yield Subject(
                instance_id=instance.id,
                region=instance.region,
                namespace=names.vpc_namespace(instance.vpc_id),
                interface=names.tap(interface.id),
                router=subnets[interface.subnet_id].cidr_block.network_address + 1,
                address=interface.private_ip,
            )


def _answers(subject: Subject) -> bool:
    return arp.answers(subject.namespace, subject.interface, subject.router, subject.address)


def _started_at(instance_id: str) -> float:
    """Return when an instance's machine started; one that is still to be started starts now."""
    machine = record.load(instance_id)
    return machine.started_at if machine else time.time()


def _report(results: Mapping[str, Mapping[str, bool]]) -> None:
    body = json.dumps(results).encode()
    # The lab's own URL.
    request = urllib.request.Request(f"{settings.API_URL}/_lab/status-checks", data=body, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - the same
        pass
