"""Whether to upgrade now, and what an upgrade makes necessary. Looks at nothing itself."""

from collections.abc import Sequence
from typing import NamedTuple

UPGRADE, REBOOT, RESTART, HELD, NOTHING = "upgrade", "reboot", "restart", "held", "nothing"
OUTSIDE = "outside of the window"


class Window(NamedTuple):
    """A part of each day, as `hh:mm` in UTC."""

    begin: str
    end: str

    def contains(self, time: str) -> bool:
        """Return whether a time of the day is in it. A window may contain midnight."""
        if self.begin < self.end:
            return self.begin <= time < self.end
        return time >= self.begin or time < self.end


class Needs(NamedTuple):
    """What the installed updates make necessary."""

    reboot: Sequence[str]
    """Reasons for a reboot."""
    restart: Sequence[str]
    """Units that run what is no longer installed, and can be restarted by themselves."""


class Decision(NamedTuple):
    """What to do, and why."""

    action: str
    reason: str = ""


def may_upgrade(*, inside: bool, faults: Sequence[str], installed: bool) -> Decision:
    """Decide about an upgrade: `inside` the window, with `faults` of the tunnels, `installed` unattended-upgrades.

    The peer's window is another one. If its upgrade has broken the tunnel, this side keeps what works.
    """
    if not inside:
        return Decision(OUTSIDE)
    if not installed:
        return Decision(HELD, "unattended-upgrades is not installed")
    return Decision(HELD, "; ".join(faults)) if faults else Decision(UPGRADE)


def finish(*, inside: bool, faults: Sequence[str], needs: Needs) -> Decision:
    """Decide what follows an upgrade.

    A reboot interrupts the NAT of the site too. It waits for the tunnels, because after it they need the peers. A
    restart of the daemon does not: a tunnel that is down loses nothing by it.
    """
    if not inside:
        return Decision(OUTSIDE)
    if needs.reboot and not faults:
        return Decision(REBOOT, "; ".join(needs.reboot))
    if needs.restart:
        return Decision(RESTART, ", ".join(needs.restart))
    if needs.reboot:
        return Decision(HELD, "; ".join(faults))
    return Decision(NOTHING, "no update needs it")
