"""The network's one entry: given a world, make the machine's network that."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lab import processes
from lab.network import guard, kernel, model, names, namespaces, plan, services
from lab.world import World

_log = logging.getLogger("lab.network")


class Network:
    """Keeps this machine's network the same as a world's. Not safe for use by several threads at once."""

    def __init__(self) -> None:
        self._uplinks: dict[str, int] = {}
        self._world: World | None = None
        self._plan: model.Plan = {}
        # What is known to be in force; empty after a start or a failure, and then everything is compared again.
        self._applied: dict[str | None, model.Namespace] = {}

    def apply(self, world: World) -> None:
        """Make the network agree with `world`. Without a change it costs a few milliseconds.

        A namespace that fails keeps no other from being made; all failures are raised together as an ExceptionGroup,
        and the next call goes on from whatever is there. Raises `plan.NetworkError` when the host or the world makes
        the lab impossible.
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
        made = [name for name in self._applied if name is not None]
        servers = [str(name) for name, namespace in self._applied.items() if namespace.dnsmasq]
        return all(map(namespaces.is_usable, made)) and all(
            processes.find(names.dnsmasq_process(server)) for server in servers
        )

    def _reconcile(self) -> None:
        failures: list[Exception] = []

        wanted = self._plan
        for stale in sorted(namespaces.present() - wanted.keys()):
            with _collecting(failures):
                self._remove(stale)
        # All exist before any is filled: a veth is made with both its ends in place.
        for name in wanted:
            with _collecting(failures):
                if name is not None and not namespaces.is_usable(name):
                    self._create(name)
        for name, namespace in wanted.items():
            if self._applied.get(name) != namespace:
                with _collecting(failures):
                    self._fill(namespace, self._applied.pop(name, None))
                    self._applied[name] = namespace
        if failures:
            self._applied.clear()
            raise ExceptionGroup("the network could not be made in full", failures)

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
        # The filter comes first: no packet ever passes a router without it.
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
        # One line here; the traceback comes with the group.
        _log.error("a step failed, the others go on: %s: %s", type(error).__name__, error)
        failures.append(error)
