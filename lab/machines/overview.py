"""The status of all machines and the progress of their boots, read from their records and console logs."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from lab.machines import record
from lab.machines.record import Kind, Machine

_FINISHED = re.compile(rb"Cloud-init v\. \S+ finished at .*? Up ([\d.]+) seconds")
_PHASES = (
    (re.compile(rb"cloud-init\[\d+\]: Cloud-init v\. \S+ running 'modules:final'"), "cloud-init: final"),
    (re.compile(rb"cloud-init\[\d+\]: Cloud-init v\. \S+ running 'modules:config'"), "cloud-init: config"),
    (re.compile(rb"cloud-init\[\d+\]: Cloud-init v\. \S+ running 'init'"), "cloud-init: network"),
    (re.compile(rb"Welcome to|systemd\[1\]|cloud-init"), "systemd"),
    (re.compile(rb"."), "kernel"),
)


@dataclass(frozen=True, kw_only=True)
class MachineStatus:
    """One line of `lab status`."""

    name: str
    id: str
    kind: Kind
    state: str
    """running or stopped."""
    pid: int | None
    console: Path
    boot: str
    """Progress of its boot, e.g. `cloud-init: config` or `booted in 61 s`."""
    up_seconds: float
    """Time since its last start; 0 when stopped."""

    def __str__(self) -> str:
        """Return one line for users."""
        process = f"pid {self.pid}, up {self.up_seconds:.0f} s" if self.pid else "no process"
        columns = f"{self.name:<14} {self.id:<20} {self.kind:<16} {self.state:<8} {self.boot:<22}"
        return f"{columns} {process}, {self.console}"


def status() -> list[MachineStatus]:
    """Return the status of every machine that is not removed, sorted by name."""
    statuses = (of_machine(machine) for machine in record.load_all())
    return sorted(statuses, key=lambda status: (status.name, status.id))


def of_machine(machine: Machine) -> MachineStatus:
    """Return the status of one machine."""
    process = machine.process
    return MachineStatus(
        name=machine.name,
        id=machine.id,
        kind=machine.kind,
        state="running" if process else "stopped",
        pid=process.pid if process else None,
        console=machine.console,
        boot=_boot(machine) if process else "",
        up_seconds=time.time() - machine.started_at if process else 0.0,
    )


def _boot(machine: Machine) -> str:
    if machine.kind == "host":
        return "booted"
    try:
        with machine.console.open("rb") as file:
            file.seek(machine.console_offset)
            return boot_phase(file.read())
    except FileNotFoundError:
        return ""


def boot_phase(console: bytes) -> str:
    """Return the progress of a boot that has printed `console` so far."""
    if match := _FINISHED.search(console):
        return f"booted in {float(match.group(1)):.0f} s"
    return next((phase for pattern, phase in _PHASES if pattern.search(console)), "starting")
