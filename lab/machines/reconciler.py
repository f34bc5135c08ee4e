"""Makes the running machines agree with the instances of a world."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Address

from lab import processes
from lab.api.client import client
from lab.machines import channel, host, overview, record, releases, virtual_machine
from lab.machines.image import ensure_image
from lab.machines.metadata import server, tree
from lab.machines.metadata.answers import Answers
from lab.machines.metadata.tokens import Tokens
from lab.machines.metadata.tree import Subject
from lab.machines.overview import MachineStatus
from lab.machines.record import Kind, Machine
from lab.network import names, sockets
from lab.world import Instance, World

_log = logging.getLogger("lab.machines")

_RETRY_SECONDS = 10.0
_WORKERS = 8


class Machines:
    """Starts, stops, reboots and removes machines, and serves their metadata.

    The caller repeats `apply`, which starts work and does not wait for it. Machines outlive this object: a new one
    takes over those that run. Not thread-safe.
    """

    def __init__(self) -> None:
        self._world = World(vpcs=(), instances=())
        self._pool = ThreadPoolExecutor(max_workers=_WORKERS, thread_name_prefix="machine")
        self._running: dict[str, Future[None]] = {}
        self._not_before: dict[str, float] = {}
        self._servers: dict[str, server.MetadataServer] = {}
        self._tokens = Tokens()
        self._answers = Answers()

    def apply(self, world: World) -> None:
        """Begin the work that makes the machines agree with `world`. Its namespaces and taps must exist."""
        self._world = world
        self._serve_metadata()
        instances = {instance.id: instance for instance in world.instances}
        for instance_id in sorted(instances.keys() | {machine.id for machine in record.load_all()}):
            self._begin(instance_id, instances.get(instance_id))

    def status(self) -> list[MachineStatus]:
        """Return the status of every machine that is not removed."""
        return overview.status()

    def close(self) -> None:
        """Finish the work in progress and stop serving metadata. Machines keep running."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for metadata_server in self._servers.values():
            metadata_server.close()
        self._servers.clear()

    def _begin(self, instance_id: str, instance: Instance | None) -> None:
        work = self._running.get(instance_id)
        if work is not None and not work.done():
            return
        if work is not None and (error := work.exception()):
            _log.error("%s: %s: %s", instance_id, type(error).__name__, error)
            self._not_before[instance_id] = time.monotonic() + _RETRY_SECONDS
        self._running.pop(instance_id, None)
        if time.monotonic() < self._not_before.get(instance_id, 0.0):
            return
        self._running[instance_id] = self._pool.submit(self._reconcile, instance_id, instance)

    def _reconcile(self, instance_id: str, instance: Instance | None) -> None:
        machine = record.load(instance_id)
        if instance is None or instance.state in ("shutting-down", "terminated"):
            if machine:
                _remove(machine)
        elif instance.state in ("stopping", "stopped"):
            if machine and machine.process:
                _stop(machine)
        elif machine is None or machine.process is None:
            self._start(instance, machine)
        elif not machine.is_attached():
            # Its network was created again, and a running machine cannot be moved into it.
            _log.warning("%s (%s): its network was replaced; the machine is started again", machine.name, machine.id)
            processes.stop(machine.process_name)
            self._start(instance, machine)
        elif instance.reboots > machine.reboots:
            # Before the disk grows, which needs an answer of QEMU: a reboot starts a silent QEMU again.
            self._reboot(instance, machine)
        elif machine.kind == "virtual-machine" and instance.root_gib > machine.root_gib:
            virtual_machine.grow_disk(machine, instance.root_gib)
        elif machine.kind == "virtual-machine" and virtual_machine.is_powered_off(machine):
            # By default EC2 stops an instance that shuts itself down. The changed state then stops the machine.
            client("ec2", instance.region).stop_instances(InstanceIds=[instance.id])

    def _start(self, instance: Instance, machine: Machine | None) -> None:
        subject = self._subject(instance)
        if subject is None:
            return
        kind: Kind = "virtual-machine" if instance.user_data else "host"
        if machine and machine.kind != kind:
            _remove(machine)
            machine = None
        namespace = (
            names.vpc_namespace(instance.vpc_id) if kind == "virtual-machine" else names.host_namespace(instance.id)
        )
        machine = machine or Machine(id=instance.id, name=instance.name, kind=kind, namespace=namespace)
        image = ensure_image(releases.of_image(instance.image_name).name, _log.info)
        if kind == "virtual-machine":
            virtual_machine.start(machine, virtual_machine.Boot(instance, subject.interface, image))
        else:
            host.start(machine, subject, image)

    def _reboot(self, instance: Instance, machine: Machine) -> None:
        if machine.kind == "virtual-machine":
            try:
                virtual_machine.reboot(machine, instance.reboots)
            except (OSError, channel.ChannelError) as error:
                _log.warning("%s (%s): QEMU does not answer, it is started again: %s", machine.name, machine.id, error)
                processes.stop(machine.process_name)
                self._start(instance, machine)
        else:
            host.stop(machine)
            self._start(instance, machine)

    def _subject(self, instance: Instance) -> Subject | None:
        for vpc in self._world.vpcs:
            for interface in vpc.network_interfaces:
                if vpc.id == instance.vpc_id and interface.id == instance.network_interface_id:
                    return tree.find(self._world, vpc.id, str(interface.private_ip))
        return None

    def _serve_metadata(self) -> None:
        vpc_ids = {vpc.id for vpc in self._world.vpcs}
        for vpc_id in self._servers.keys() - vpc_ids:
            self._servers.pop(vpc_id).close()
        for vpc_id in vpc_ids - self._servers.keys():
            listener = sockets.listen(names.vpc_namespace(vpc_id), IPv4Address(server.ADDRESS), server.PORT)

            def find(address: str, vpc_id: str = vpc_id) -> Subject | None:
                return tree.find(self._world, vpc_id, address)

            self._servers[vpc_id] = server.MetadataServer(listener, find, self._tokens, self._answers)


def _stop(machine: Machine) -> None:
    (virtual_machine.stop if machine.kind == "virtual-machine" else host.stop)(machine)


def _remove(machine: Machine) -> None:
    (virtual_machine.remove if machine.kind == "virtual-machine" else host.remove)(machine)
