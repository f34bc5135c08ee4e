"""The disk of a virtual machine has the size of its root volume: new, while it runs, and when it starts again.

qemu-img is the real one, QEMU's monitor is a stand-in. Does not prove that a guest sees the new size at once
(tests/scenarios/test_root_volume.py).
"""

import contextlib
import json
import socket
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import processes, settings
from lab.machines import accelerator, channel, reconciler, record, releases, virtual_machine
from lab.machines.image import GuestImage
from lab.machines.record import Machine
from lab.tests.network_world import UK, article, instances

GIB = 1024**3


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(settings, "RUN", tmp_path)
    monkeypatch.setattr(settings, "LOGS", tmp_path)
    monkeypatch.setattr(processes, "_RECORDS", tmp_path / "processes")
    monkeypatch.setattr(processes, "start", lambda *_, **__: None)
    monkeypatch.setattr(accelerator, "choose", lambda _: "tcg")
    return Machine(id="i-1", name="uk-gateway", kind="virtual-machine", namespace="lab-vpc-1")


def started(machine: Machine, root_gib: int, tmp_path: Path) -> Machine:
    image = GuestImage(release=releases.find("debian-13"), directory=tmp_path)
    with image.disk.open("ab") as file:
        file.truncate(3 * GIB)
    world = article(user_data=b"#cloud-config")
    [interface] = [
        each
        for vpc in world.vpcs
        for each in vpc.network_interfaces
        if each.id == instances(UK)[0].network_interface_id
    ]
    boot = virtual_machine.Boot(replace(instances(UK)[0], root_gib=root_gib), interface, image)
    return virtual_machine.start(machine, boot)


def disk_bytes(machine: Machine) -> int:
    command = ["qemu-img", "info", "--output=json", str(machine.directory / "disk.qcow2")]
    return int(json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["virtual-size"])


def test_a_new_disk_has_the_size_of_the_volume_and_grows_when_the_machine_starts_again(
    machine: Machine, tmp_path: Path
) -> None:
    first = started(machine, 8, tmp_path)
    assert (first.root_gib, disk_bytes(machine)) == (8, 8 * GIB)
    second = started(first, 20, tmp_path)
    assert (second.root_gib, disk_bytes(machine)) == (20, 20 * GIB)
    assert (started(second, 20, tmp_path).root_gib, disk_bytes(machine)) == (20, 20 * GIB)


def monitor(path: Path, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer at the socket of a monitor; return the list of the commands that arrive."""
    listener, commands = socket.socket(socket.AF_UNIX), list[dict[str, Any]]()
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rwb") as lines:
            lines.write(b'{"QMP": {}}\n')
            lines.flush()
            for line in lines:
                commands.append(json.loads(line))
                is_handshake = commands[-1]["execute"] == "qmp_capabilities"
                lines.write(json.dumps({"return": {}} if is_handshake else answer).encode() + b"\n")
                lines.flush()

    threading.Thread(target=serve, daemon=True).start()
    return commands


def test_the_disk_of_a_running_machine_grows_by_qemus_monitor(machine: Machine) -> None:
    machine.save()
    commands = monitor(machine.qmp_socket, {"return": {}})
    assert virtual_machine.grow_disk(machine, 20).root_gib == 20
    assert commands[1:] == [{"execute": "block_resize", "arguments": {"node-name": "disk", "size": 20 * GIB}}]


def test_a_disk_that_qemu_does_not_grow_is_not_recorded_as_grown(machine: Machine) -> None:
    machine.save()
    monitor(machine.qmp_socket, {"error": {"desc": "no space"}})
    with pytest.raises(channel.ChannelError, match="no space"):
        virtual_machine.grow_disk(machine, 20)
    assert record.load(machine.id) == machine


@pytest.mark.parametrize(("root_gib", "grown"), [(8, []), (20, [20])])
def test_a_larger_volume_grows_the_disk_of_the_running_machine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, root_gib: int, grown: list[int]
) -> None:
    calls = list[int]()
    machine.with_changes(root_gib=8)
    monkeypatch.setattr(Machine, "process", object())
    monkeypatch.setattr(Machine, "is_attached", lambda _: True)
    monkeypatch.setattr(virtual_machine, "is_powered_off", lambda _: False)
    monkeypatch.setattr(virtual_machine, "grow_disk", lambda _machine, gib: calls.append(gib))
    machines = reconciler.Machines()
    machines._reconcile(machine.id, replace(instances(UK)[0], root_gib=root_gib))
    machines.close()
    assert calls == grown


def test_a_reboot_starts_a_silent_qemu_again_although_its_disk_is_to_grow(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, started_with = list[str](), list[tuple[int, int]]()
    # Nothing listens at the socket of its monitor.
    machine.with_changes(root_gib=8)
    machine.console.parent.mkdir(exist_ok=True)
    machine.console.touch()
    monkeypatch.setattr(Machine, "process", object())
    monkeypatch.setattr(Machine, "is_attached", lambda _: True)
    monkeypatch.setattr(virtual_machine, "_MONITOR_SECONDS", 0.1)
    monkeypatch.setattr(processes, "stop", stopped.append)
    monkeypatch.setattr(
        reconciler.Machines,
        "_start",
        lambda _, instance, __: started_with.append((instance.reboots, instance.root_gib)),
    )
    machines = reconciler.Machines()
    machines._reconcile(machine.id, replace(instances(UK)[0], root_gib=20, reboots=1))
    machines.close()
    assert stopped == [machine.process_name]
    assert started_with == [(1, 20)]
