"""A reboot of a virtual machine: orderly, else a reset, else QEMU is started again.

QEMU's monitor and the guest agent are stand-ins of this file. Does not prove what QEMU does with the commands
(lab/tests/machines/test_machines.py).
"""

import contextlib
import json
import socket
import threading
from pathlib import Path

import pytest

from lab import processes, settings
from lab.machines import channel, virtual_machine
from lab.machines.record import Machine


class Monitor:
    """QEMU's monitor; with `resets`, a guest that is asked to reboot does so at once."""

    def __init__(self, path: Path, *, resets: bool) -> None:
        self.commands: list[str] = []
        self._resets = resets
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with contextlib.suppress(ConnectionError), connection, connection.makefile("rwb") as lines:
                lines.write(b'{"QMP": {}}\n')
                lines.flush()
                for line in lines:
                    self.commands.append(json.loads(line)["execute"])
                    lines.write(b'{"return": {}}\n')
                    if self._resets:
                        lines.write(b'{"event": "STOP"}\n{"event": "RESET", "data": {"guest": true}}\n')
                    lines.flush()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(settings, "RUN", tmp_path)
    monkeypatch.setattr(settings, "LOGS", tmp_path)
    monkeypatch.setattr(processes, "_RECORDS", tmp_path / "processes")
    monkeypatch.setattr(virtual_machine, "_REBOOT_SECONDS", 0.2)
    monkeypatch.setattr(virtual_machine, "_MONITOR_SECONDS", 0.5)
    monkeypatch.setattr(virtual_machine, "_ask_to_shut_down", lambda *_, **__: None)
    machine = Machine(id="i-1", name="uk-gateway", kind="virtual-machine", namespace="lab-vpc-1")
    machine.save()
    machine.console.parent.mkdir(exist_ok=True)
    machine.console.write_text("first boot\n")
    return machine


def test_a_guest_that_reboots_is_not_reset(machine: Machine) -> None:
    monitor = Monitor(machine.qmp_socket, resets=True)
    rebooted = virtual_machine.reboot(machine, 1)
    assert monitor.commands == ["qmp_capabilities"]
    assert (rebooted.reboots, rebooted.console_offset) == (1, 11)


def test_a_guest_that_accepts_a_reboot_and_does_not_reboot_is_reset(machine: Machine) -> None:
    monitor = Monitor(machine.qmp_socket, resets=False)
    assert virtual_machine.reboot(machine, 1).reboots == 1
    assert monitor.commands == ["qmp_capabilities", "system_reset", "cont"]


def test_a_guest_whose_agent_does_not_answer_is_reset(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> None:
        raise channel.ChannelError("no answer")

    monkeypatch.setattr(virtual_machine, "_ask_to_shut_down", silent)
    monitor = Monitor(machine.qmp_socket, resets=False)
    virtual_machine.reboot(machine, 1)
    assert monitor.commands == ["qmp_capabilities", "system_reset", "cont"]


def test_a_qemu_that_does_not_answer_is_reported(machine: Machine) -> None:
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(machine.qmp_socket))
    silent.listen()
    with silent, pytest.raises(TimeoutError):
        virtual_machine.reboot(machine, 1)
