"""Guest images, virtual machines with their metadata service, and hosts in namespaces."""

from lab.machines import teardown
from lab.machines.channel import ChannelError
from lab.machines.execution import Streams, execute
from lab.machines.overview import MachineStatus, status
from lab.machines.reconciler import Machines

__all__ = ["ChannelError", "MachineStatus", "Machines", "Streams", "execute", "status", "teardown"]
