"""Guest images, virtual machines, their metadata service, and cheap private hosts."""

from lab.machines import teardown
from lab.machines.execution import execute
from lab.machines.overview import MachineStatus, status
from lab.machines.reconciler import Machines

__all__ = ["MachineStatus", "Machines", "execute", "status", "teardown"]
