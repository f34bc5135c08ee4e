"""Makes this machine's network agree with a world."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lab import processes
from lab.network import guard, kernel, model, names, namespaces, plan, services
from lab.world import World

_log = logging.getLogger("lab.network")


class Network:
    """Keeps this machine's network in agreement with a world. Not thread-safe."""

    def __init__(self) -> None:
        self._uplinks: dict[str, int] = {}
        self._world: World | None = None
        self._plan: model.Plan = {}
        # The namespaces known to agree with their plans. Empty after a start or a failure: then all are compared.
        self._applied: dict[str | None, model.Namespace] = {}

    def apply(self, world: World) -> None:
        """Make the network agree with `world`. Without a change this takes a few milliseconds.

        A namespace that fails does not prevent the others. All failures are raised together as an ExceptionGroup, and
        the next call continues from the state that was reached. Raises `plan.NetworkError` when the host's routes or
        the number of VPCs do not allow the network.
        """
        if world != self._world:
            self._uplinks = plan.number_uplinks(self._uplinks, (vpc.id for vpc in world.vpcs))
            self._plan = plan.make(world, self._uplinks)
            self._world = world
        if not self._is_healthy():
            self._applied.clear()
        if self._applied == self._plan:
            return
        if None not in self._applied:
            guard.check_host_routes()
        self._reconcile()

    def close(self) -> None:
        """Do nothing: the network stays for the machines in it until `teardown.remove`."""

    def _is_healthy(self) -> bool:
        applied = [name for name in self._applied if name is not None]
        with_dnsmasq = [str(name) for name, namespace in self._applied.items() if namespace.dnsmasq]
        return all(map(namespaces.is_usable, applied)) and all(
            processes.find(names.dnsmasq_process(name)) for name in with_dnsmasq
        )

    def _reconcile(self) -> None:
        failures: list[Exception] = []
        for stale in sorted(namespaces.present() - self._plan.keys()):
            with _collecting(failures):
                self._remove(stale)
        # All namespaces exist before any is filled, because a veth needs the namespaces of both its ends.
        for name in self._plan:
            with _collecting(failures):
                if name is not None and not namespaces.is_usable(name):
                    self._create(name)
        for name, namespace in self._plan.items():
            if self._applied.get(name) != namespace:
                with _collecting(failures):
                    self._fill(namespace, self._applied.pop(name, None))
                    self._applied[name] = namespace
        if failures:
            self._applied.clear()
            raise ExceptionGroup("the network could not be created completely", failures)

    def _create(self, name: str) -> None:
        namespaces.create(name)
        _log.info("%s: create namespace", name)

    def _remove(self, name: str) -> None:
        processes.stop(names.dnsmasq_process(name))
        namespaces.remove(name)
        (services.directory() / f"{name}.conf").unlink(missing_ok=True)
        self._applied.pop(name, None)
        _log.info("%s: remove namespace", name)

    def _fill(self, namespace: model.Namespace, before: model.Namespace | None) -> None:
        # The filter comes first, so that no packet passes a router without it.
        if namespace.ruleset and (before is None or before.ruleset != namespace.ruleset):
            services.load_ruleset(namespace)
        kernel.reconcile(namespace)
        if namespace.ruleset and (before is None or before.translations != namespace.translations):
            services.forget_old_translations(namespace)
        if namespace.dnsmasq and (before is None or before.dnsmasq != namespace.dnsmasq):
            services.run_dnsmasq(namespace)
        if namespace.resolv_conf and (before is None or before.resolv_conf != namespace.resolv_conf):
            namespaces.write_resolv_conf(str(namespace.name), namespace.resolv_conf)


@contextmanager
def _collecting(failures: list[Exception]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The traceback is logged with the group.
        _log.error("a step failed, the others continue: %s: %s", type(error).__name__, error)
        failures.append(error)
