"""Makes pluto's connections those of the file."""

import contextlib
import time
from collections.abc import Callable, Sequence

from ipsec_conf import PATHS, IpsecConf, difference, loaded, parse
from vpn_configure.errors import ConfigureError
from vpn_configure.machine import Done, Machine
from vpn_configure.reconcile import Orders, orders

WHACK = "/usr/libexec/ipsec/whack"
ADDCONN = "/usr/libexec/ipsec/addconn"
"""What ipsec(8) calls, in Debian 12 and 13."""

START_SECONDS = 60
"""pluto's time to load its connections after a start."""

PEER_SECONDS = 3
"""How long a peer that is changed at the same time may take to start a connection."""

REMEDY = "journalctl -u ipsec; sudo systemctl restart ipsec"


def status(machine: Machine) -> dict[str, bool] | None:
    """Return name -> whether its policies are in the kernel, of all connections; None when pluto does not answer."""
    done = machine.run(WHACK, "--status", seconds=20)
    return loaded(done.output) if done.code == 0 else None


def reconcile(machine: Machine, old: IpsecConf, new: IpsecConf, tell: Callable[[str], None]) -> None:
    """Delete, add and route what differs. Raises ConfigureError with pluto's own words."""
    seen = status(machine)
    if seen is None:
        restart(machine, new)
        tell("ipsec: restarted, because pluto did not answer")
        return
    wanted = orders(old, new, seen)
    _tell_pluto(machine, wanted)
    for name in wanted.delete:
        tell(f"connection {name}: {'changed' if name in wanted.add else 'deleted'}")
    for name in wanted.add:
        if name not in wanted.delete:
            tell(f"connection {name}: added")
    if any(wanted) and (problem := difference(new, status(machine) or {})):
        raise ConfigureError(f"pluto has not taken the connections: {problem}: {REMEDY}")


def load(machine: Machine, old: IpsecConf, new: IpsecConf) -> None:
    """Delete, add and route what differs, if pluto answers. What fails is seen by `vpn-verify`."""
    if (seen := status(machine)) is not None:
        with contextlib.suppress(ConfigureError):
            _tell_pluto(machine, orders(old, new, seen))


def restart(machine: Machine, new: IpsecConf) -> None:
    """Start pluto again, and wait until it has loaded the connections of the file."""
    done = machine.run("systemctl", "restart", "ipsec", seconds=START_SECONDS)
    if done.code:
        log = machine.run("journalctl", "-qb", "-ocat", "-n5", "-uipsec", seconds=20).output
        raise ConfigureError(f"ipsec.service does not start: {done.output}\n{log}")
    deadline = time.monotonic() + START_SECONDS
    while problem := difference(new, status(machine) or {}):
        if time.monotonic() > deadline:
            raise ConfigureError(f"pluto has not taken the connections: {problem}: {REMEDY}")
        time.sleep(0.5)


def _tell_pluto(machine: Machine, wanted: Orders) -> None:
    for name in wanted.delete:
        # What is gone already needs no deletion, and what stays is seen afterwards.
        machine.run(WHACK, "--delete", "--name", name, seconds=20)
    for path in PATHS if wanted.add else ():
        known = parse(machine.read(path)).connections
        names = [name for name in wanted.add if name in known]
        done = machine.run(ADDCONN, "--config", path, *names, seconds=60) if names else Done(0, "")
        if done.code:
            raise ConfigureError(f"pluto has not taken the connections: {done.output}")
    late = _await_peer(machine, wanted.expect)
    for name in wanted.route:
        # `auto=ondemand` counts only for what pluto loads by itself when it starts.
        done = machine.run(WHACK, "--route", "--name", name, seconds=20)
        if done.code:
            raise ConfigureError(f"pluto cannot route {name}: {done.output}: {REMEDY}")
    for name in (*wanted.start, *late):
        # Where the peer is not ready yet, it starts the connection itself, or vpn-watch does.
        machine.run(WHACK, "--initiate", "--asynchronous", "--name", name, seconds=20)


def _await_peer(machine: Machine, names: Sequence[str]) -> Sequence[str]:
    """Wait until the peer has started these connections; return those that it has not started in time."""
    deadline, late = time.monotonic() + PEER_SECONDS, names
    while late:
        seen = status(machine) or {}
        late = [name for name in names if not seen.get(name)]
        if time.monotonic() >= deadline:
            break
        time.sleep(0.1)
    return late
