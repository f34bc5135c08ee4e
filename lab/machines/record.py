"""Records of machines in `settings.RUN/machines/<id>`, by which any process can find, reach or remove them."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import psutil

from lab import processes, settings

Kind = Literal["virtual-machine", "host"]

# ip-netns(8)
_NAMESPACES = Path("/run/netns")


def directory() -> Path:
    """Return the parent of all machines' directories."""
    return settings.RUN / "machines"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that was started and is not removed; it runs or is stopped."""

    id: str
    """The instance's id."""
    name: str
    kind: Kind
    namespace: str
    """The network namespace in which its process runs."""
    root_gib: int = 0
    """Size of a virtual machine's disk."""
    reboots: int = 0
    """How many RebootInstances calls have been carried out."""
    started_at: float = 0.0
    """Time of the last start, in seconds since the epoch."""
    console_offset: int = 0
    """Offset in bytes at which the last boot begins in the console log."""

    @property
    def directory(self) -> Path:
        """Its disk, sockets and record."""
        return directory() / self.id

    @property
    def process_name(self) -> str:
        """Its name in `lab.processes`."""
        return process_name(self.kind, self.id)

    @property
    def console(self) -> Path:
        """Log of the serial console, or of a host's sshd; kept after the machine is removed."""
        return settings.LOGS / "machines" / f"{self.name.replace('/', '_')}-{self.id}.console.log"

    @property
    def qmp_socket(self) -> Path:
        """Socket of QEMU's monitor, for a virtual machine."""
        return self.directory / "qmp.sock"

    @property
    def agent_socket(self) -> Path:
        """Socket of the guest agent, for a virtual machine."""
        return self.directory / "agent.sock"

    @property
    def process(self) -> psutil.Process | None:
        """The running process, or None."""
        return processes.find(self.process_name)

    def is_attached(self) -> bool:
        """Return whether its process is in the namespace of its name, which may have been created again since."""
        process = self.process
        if process is None:
            return False
        try:
            current = (_NAMESPACES / self.namespace).stat()
            own = Path(f"/proc/{process.pid}/ns/net").stat()
        except FileNotFoundError:
            return False
        return (current.st_dev, current.st_ino) == (own.st_dev, own.st_ino)

    def save(self) -> None:
        """Write the record atomically: a reader sees the old one or the new one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "machine.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=2))
        os.replace(new, path)

    def with_changes(self, **changes: object) -> "Machine":
        """Save a copy with other values and return it."""
        changed = replace(self, **changes)  # type: ignore[arg-type]  # mypy cannot check the names in a mapping
        changed.save()
        return changed


def process_name(kind: Kind, instance_id: str) -> str:
    """Return the name of a machine's process in `lab.processes`."""
    return f"{'machine' if kind == 'virtual-machine' else 'host'}-{instance_id}"


def load(instance_id: str) -> Machine | None:
    """Return the record of the instance's machine, or None."""
    try:
        return Machine(**json.loads((directory() / instance_id / "machine.json").read_text()))
    except FileNotFoundError:
        return None


def load_all() -> Iterator[Machine]:
    """Yield all recorded machines, sorted by id."""
    for path in sorted(directory().glob("*/machine.json")):
        if machine := load(path.parent.name):
            yield machine


def find(name_or_id: str) -> Machine:
    """Return the machine with an instance id or `Name` tag.

    Raises LookupError when there is none or more than one; the message names the existing ones.
    """
    machines = list(load_all())
    matching = [machine for machine in machines if name_or_id in (machine.id, machine.name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        ids = ", ".join(machine.id for machine in matching)
        raise LookupError(f"{len(matching)} machines are called {name_or_id!r}; name one by its id: {ids}")
    existing = ", ".join(sorted(machine.name for machine in machines)) or "none"
    raise LookupError(f"there is no machine {name_or_id!r}; there are: {existing}")
