"""The programs of a gateway when memory is short: which the kernel takes, and which it leaves."""

from typing import Final

from tests.scenarios.gateway import Gateway

_NEEDED: Final = "ipsec vpn-watch ssh"

ADJUSTMENTS: Final = "ps --deselect -p 2 --ppid 2 -o oomadj=,comm="
"""A command that prints the oom_score_adj (proc(5)) and the name of every program. Process 2 begins kernel threads."""


def main_processes(gateway: Gateway) -> str:
    """Return the processes of the services that the tunnel and an administrator need; a restart changes one."""
    return gateway.run(f"systemctl show --property=Id,MainPID {_NEEDED}")


def killed_for_memory(gateway: Gateway) -> int:
    """Return how many processes the kernel has killed for their memory since it booted."""
    return int(gateway.run("awk '$1 == \"oom_kill\" {print $2}' /proc/vmstat"))


def kept_as_long_as(name: str, adjustments: str) -> set[str]:
    """Return the other programs that are spared as much as this one, or more, from the output of ADJUSTMENTS.

    Raises ValueError if this one does not run.
    """
    rows = [line.split(maxsplit=1) for line in adjustments.splitlines()]
    own = min(int(adjustment) for adjustment, program in rows if program == name)
    return {program for adjustment, program in rows if int(adjustment) <= own} - {name}
