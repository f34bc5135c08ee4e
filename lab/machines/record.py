"""What is remembered of a machine in `settings.RUN/machines/<id>`, so that any process can find, reach or remove it."""

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
    """Return where the machines' own directories are."""
    return settings.RUN / "machines"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that was started, and maybe stopped, but not yet removed."""

    id: str
    """Of the instance."""
    name: str
    kind: Kind
    namespace: str
    """The network namespace in which its process runs."""
    reboots: int = 0
    """Of how many RebootInstances calls it has taken notice."""
    started_at: float = 0.0
    """Seconds since the epoch of its last start."""
    console_offset: int = 0
    """Where in the console log its last boot begins, bytes."""

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
        """Its serial console's log, or a host's sshd log; kept after it is gone."""
        return settings.LOGS / "machines" / f"{self.name.replace('/', '_')}-{self.id}.console.log"

    @property
    def qmp_socket(self) -> Path:
        """QEMU's monitor (a virtual machine's)."""
        return self.directory / "qmp.sock"

    @property
    def agent_socket(self) -> Path:
        """The guest agent's channel (a virtual machine's)."""
        return self.directory / "agent.sock"

    @property
    def process(self) -> psutil.Process | None:
        """The running process, or None."""
        return processes.find(self.process_name)

    def is_attached(self) -> bool:
        """Say whether its process is in the network namespace that now has the name; a new one may have taken it."""
        process = self.process
        if process is None:
            return False
        try:
            named = (_NAMESPACES / self.namespace).stat()
            own = Path(f"/proc/{process.pid}/ns/net").stat()
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)

    def save(self) -> None:
        """Write the record, so that a reader sees the old one or the new one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / "machine.json"
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=2))
        os.replace(new, path)

    def with_changes(self, **changes: object) -> "Machine":
        """Return a copy with other values, saved."""
        changed = replace(self, **changes)  # type: ignore[arg-type]
        changed.save()
        return changed


def process_name(kind: Kind, instance_id: str) -> str:
    """Return the name under which a machine's process is in `lab.processes`."""
    return f"{'machine' if kind == 'virtual-machine' else 'host'}-{instance_id}"


def load(instance_id: str) -> Machine | None:
    """Return the record of that instance's machine, or None."""
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
    """Return the machine of that instance id or `Name` tag.

    Raises LookupError, naming those there are, when there is none or more than one.
    """
    machines = list(load_all())
    found = [machine for machine in machines if name_or_id in (machine.id, machine.name)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(machine.id for machine in found)
        raise LookupError(f"{len(found)} machines are called {name_or_id!r}; name one by its id: {ids}")
    known = ", ".join(sorted(machine.name for machine in machines)) or "none"
    raise LookupError(f"there is no machine {name_or_id!r}; there are: {known}")
