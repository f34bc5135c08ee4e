"""One virtual machine: QEMU on a tap, with a disk that is kept until the instance is terminated."""

import logging
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from lab import processes, settings
from lab.machines import accelerator, channel, mounts, qemu
from lab.machines.image import GuestImage
from lab.machines.record import Machine
from lab.network import names
from lab.world import Instance, NetworkInterface

_log = logging.getLogger("lab.machines")

# An emulated guest on a busy host takes half a minute for what takes two seconds otherwise.
_POWER_DOWN_SECONDS = 60.0
# "If an instance does not cleanly shut down within a few minutes, we perform a hard reboot" (API_RebootInstances).
_REBOOT_SECONDS = 240.0
_MONITOR_SECONDS = 5.0
_GIB = 1024**3
# sun_path of unix(7), minus the final zero: QEMU binds its sockets by their path.
_SOCKET_PATH_LENGTH = 107


class MachineError(Exception):
    """A machine cannot be started; the message says why."""


@dataclass(frozen=True)
class Boot:
    """The instance, interface and image from which a virtual machine is started."""

    instance: Instance
    interface: NetworkInterface
    image: GuestImage


def start(machine: Machine, boot: Boot) -> Machine:
    """Start QEMU; create the disk at the first start, later let it have its volume's size. Return the new record."""
    if len(str(machine.agent_socket).encode()) > _SOCKET_PATH_LENGTH:
        raise MachineError(
            f"the socket path {machine.agent_socket} is longer than {_SOCKET_PATH_LENGTH} bytes, the system's limit; "
            "move the checkout to a directory with a shorter path"
        )
    machine.directory.mkdir(parents=True, exist_ok=True)
    disk = machine.directory / "disk.qcow2"
    root_gib = max(boot.instance.root_gib, machine.root_gib)
    if not disk.exists():
        _make_disk(machine, boot.image, root_gib)
    elif root_gib > machine.root_gib:
        _qemu_img(disk, "resize", "-q", "-f", "qcow2", str(disk), f"{root_gib}G")
    machine.console.parent.mkdir(parents=True, exist_ok=True)
    hardware = qemu.Hardware(
        instance_id=machine.id,
        instance_type=boot.instance.instance_type,
        mac_address=boot.interface.mac_address,
        tap=names.tap(boot.interface.id),
        kernel=boot.image.kernel,
        initrd=boot.image.initrd,
        disk=disk,
        console=machine.console,
        qmp_socket=machine.qmp_socket,
        agent_socket=machine.agent_socket,
        accelerator=accelerator.choose(boot.image),
    )
    offset = machine.console.stat().st_size if machine.console.exists() else 0
    started = machine.with_changes(
        started_at=time.time(), console_offset=offset, reboots=boot.instance.reboots, root_gib=root_gib
    )
    processes.start(
        machine.process_name,
        qemu.command(hardware),
        log=settings.LOGS / "machines" / f"{machine.id}.qemu.log",
        namespace=machine.namespace,
    )
    _log.info("%s (%s): started with %s", machine.name, machine.id, hardware.accelerator)
    return started


def stop(machine: Machine) -> None:
    """Ask the guest to power off, wait at most 60 s, then end QEMU. The disk stays."""
    process = machine.process
    if process is None:
        return
    try:
        _ask_to_shut_down(machine, mode="powerdown")
        _wait_for_power_off(machine, process)
    except (OSError, channel.ChannelError) as error:
        _log.warning("%s (%s): no orderly power-down: %s", machine.name, machine.id, error)
    processes.stop(machine.process_name)
    _log.info("%s (%s): stopped", machine.name, machine.id)


def reboot(machine: Machine, reboots: int) -> Machine:
    """Ask the guest to reboot; reset it if it does not. Return the new record. The console log continues.

    AWS does the same (EC2 API reference, "RebootInstances"). A reset loses data that the guest has not written yet.
    Raises OSError or ChannelError if QEMU itself does not answer.
    """
    offset = machine.console.stat().st_size
    with channel.monitor(machine.qmp_socket, timeout=_MONITOR_SECONDS) as monitor:
        try:
            _ask_to_shut_down(machine, mode="reboot")
            monitor.wait_for("RESET", _REBOOT_SECONDS)
        except (OSError, channel.ChannelError) as error:
            _log.warning("%s (%s): no orderly reboot: %s", machine.name, machine.id, error)
            monitor.set_timeout(_MONITOR_SECONDS)
            monitor.command("system_reset")
            # A reset does not start a processor that is stopped.
            monitor.command("cont")
    _log.info("%s (%s): rebooted", machine.name, machine.id)
    return machine.with_changes(reboots=reboots, started_at=time.time(), console_offset=offset)


def grow_disk(machine: Machine, root_gib: int) -> Machine:
    """Make the disk of a running guest larger, which the guest sees at once. Return the new record.

    Raises OSError or ChannelError if QEMU does not answer or refuses.
    """
    with channel.monitor(machine.qmp_socket, timeout=_MONITOR_SECONDS) as monitor:
        monitor.command("block_resize", node_name=qemu.DISK_NODE, size=root_gib * _GIB)
    _log.info("%s (%s): its disk has %d GiB", machine.name, machine.id, root_gib)
    return machine.with_changes(root_gib=root_gib)


def remove(machine: Machine) -> None:
    """End QEMU and delete everything but the logs."""
    processes.stop(machine.process_name)
    mounts.remove_tree(machine.directory)
    _log.info("%s (%s): removed", machine.name, machine.id)


def is_powered_off(machine: Machine) -> bool:
    """Return whether the guest has powered itself off; QEMU is then paused."""
    try:
        with channel.monitor(machine.qmp_socket, timeout=2.0) as monitor:
            return bool(monitor.command("query-status")["status"] == "shutdown")
    except (OSError, channel.ChannelError):
        return False


def _ask_to_shut_down(machine: Machine, *, mode: str) -> None:
    with channel.agent(machine.agent_socket, timeout=15) as agent:
        # The agent answers only a failure (QEMU Guest Agent Protocol Reference, "guest-shutdown").
        agent.send({"execute": "guest-shutdown", "arguments": {"mode": mode}})


def _wait_for_power_off(machine: Machine, process: psutil.Process) -> None:
    deadline = time.monotonic() + _POWER_DOWN_SECONDS
    while process.is_running() and not is_powered_off(machine):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the guest did not power off within {_POWER_DOWN_SECONDS:.0f} s")
        time.sleep(0.2)


def _make_disk(machine: Machine, image: GuestImage, root_gib: int) -> None:
    disk = machine.directory / "disk.qcow2"
    new = machine.directory / "disk.new"
    new.unlink(missing_ok=True)
    backing = ("-F", "raw", "-b", str(image.disk))
    _qemu_img(disk, "create", "-q", "-f", "qcow2", *backing, str(new), f"{root_gib}G")
    new.rename(disk)


def _qemu_img(disk: Path, command: str, *arguments: str) -> None:
    result = subprocess.run(["qemu-img", command, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise MachineError(f"qemu-img cannot {command} {disk}: {result.stderr.strip()}")
