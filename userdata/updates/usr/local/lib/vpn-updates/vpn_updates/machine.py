"""What this machine runs, and whether its tunnels carry packets."""

import fcntl
import os
import re
import time
from pathlib import Path

from expectations import Gateway, Peer
from icmp import Echoes
from ike_probe import probe
from pluto import traffic, whack
from vpn_updates.decide import Needs

ROOT = Path("/")
UPGRADER = "usr/bin/unattended-upgrade"
REQUIRED = "run/reboot-required"
"""Written when a kernel is installed (/etc/kernel/postinst.d/unattended-upgrades), and by packages of others."""

RESTARTED = ("ipsec", "ssh", "unattended-upgrades", "vpn-metrics", "vpn-watch")
"""Services that can be restarted by themselves. Another one that runs a library no longer installed needs a reboot."""

ECHOES = 5


def needs(root: Path = ROOT, running: str = os.uname().release) -> Needs:
    """Return what the installed updates make necessary; `running` is the kernel."""
    stale = stale_units(root)
    restart = [unit for unit in stale if unit.removesuffix(".service") in RESTARTED]
    reboot = [f"{unit} runs libraries that are no longer installed" for unit in stale if unit not in restart]
    if (newest := newest_kernel(root, running)) != running:
        reboot.insert(0, f"kernel {newest} is installed, and {running} runs")
    elif (root / REQUIRED).exists():
        packages = _read(root / f"{REQUIRED}.pkgs").split()
        reboot.insert(0, f"asked for by {', '.join(packages) or REQUIRED}")
    return Needs(reboot, restart)


def newest_kernel(root: Path, running: str) -> str:
    """Return the newest kernel of the flavour that runs, of the running one and those installed since it started.

    One that was there already is not what the boot loader starts, so a reboot would not help. A release is numbers and
    a flavour, e.g. `6.1.0-40-cloud-amd64` and `6.12.48+deb13-cloud-amd64`.
    """
    started = re.search(r"^btime (\d+)", _read(root / "proc/stat"), re.M)
    since = float(started[1]) if started else 0.0
    releases = [
        path.name.removeprefix("vmlinuz-")
        for path in (root / "boot").glob("vmlinuz-*")
        # dpkg keeps the package's time of modification.
        if path.stat().st_ctime >= since
    ]
    same = [release for release in releases if _flavour(release) == _flavour(running)]
    return max([running, *same], key=lambda release: [int(number) for number in re.findall(r"\d+", release)])


def _flavour(release: str) -> str:
    found = re.search(r"-([a-z].*)", release)
    return found[1] if found else ""


_REPLACED = r" /(?:usr/)?lib/\S*\.so[.\d]* \(deleted\)$"
"""A line of proc_pid_maps(5). Not of a library elsewhere: some programs unpack one to /tmp and delete it."""


def stale_units(root: Path) -> list[str]:
    """Return the system's units with a process that has loaded a library which is no longer installed."""
    found = set[str]()
    for process in (root / "proc").glob("[0-9]*"):
        cgroup = _read(process / "cgroup").strip()
        if "/user.slice/" not in cgroup and re.search(_REPLACED, _read(process / "maps"), re.M):
            found.add(cgroup.rpartition("/")[2])
    return sorted(found)


def installs_packages(root: Path) -> bool:
    """Return whether dpkg works, also for somebody who has called it by hand."""
    try:
        with (root / "var/lib/dpkg/lock-frontend").open("ab") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def faults(gateway: Gateway) -> list[str]:
    """Return what is wrong with the tunnels, one text for each peer."""
    return [fault for peer in gateway.peers if (fault := _fault(gateway, peer))]


def _fault(gateway: Gateway, peer: Peer) -> str:
    if fault := _unanswered(gateway, peer) if peer.private_ip else _without_sa(peer.connection):
        return fault
    # After a reboot here, the tunnel needs the peer's daemon, not only its SAs.
    silent = [port for port in (500, 4500) if probe(peer.public_ip, port) != "answers"]
    return f"the IKE daemon of {peer.public_ip} does not answer on UDP port {silent[0]}" if silent else ""


def _without_sa(connection: str) -> str:
    """Return the fault of a tunnel that has no SA."""
    has_sa = any(traffic(connection, whack("--trafficstatus") or "").values())
    return "" if has_sa else f"{connection} has no Child SA"


def _unanswered(gateway: Gateway, peer: Peer) -> str:
    try:
        echoes = Echoes(gateway.address, peer.private_ip, only_target=True)
    except OSError as error:
        # The gateway's interface lacks its address.
        return f"no ping through {peer.connection}: {error}"
    with echoes.socket:
        if any(_answers(echoes, number) for number in range(ECHOES)):
            return ""
    return _without_sa(peer.connection) or f"{peer.private_ip} answers no ping through {peer.connection}"


def _answers(echoes: Echoes, number: int) -> bool:
    echoes.send(number)
    return echoes.answer(time.monotonic() + 1) is not None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
