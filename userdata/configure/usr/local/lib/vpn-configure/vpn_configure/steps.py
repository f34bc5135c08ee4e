"""What has to be done for changed files to count, and in which order. Does nothing itself."""

import json
import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import ipsec_conf
from vpn_configure.files import Changes

UNITS = "/etc/systemd/system"
FILTER, ROUTES = "/etc/vpn-gateway/filter.rules", "/etc/vpn-gateway/routes"
SECRETS, GATEWAY = "/etc/vpn-gateway/secrets.json", "/etc/vpn-gateway/gateway.json"
SSHD = "/etc/ssh/sshd_config.d"
KEYS = "/etc/ssh/authorized_keys.d"
LOGIN = (f"{KEYS}/", f"{SSHD}/00-vpn-login.conf")
"""Beginnings of the paths of what decides which keys log in. sshd reads the list of keys at each login."""
LIBRARY, PROGRAMS = "/usr/local/lib/vpn-gateway", "/usr/local/sbin"
METRICS = (f"{UNITS}/vpn-metrics.service", "/usr/local/lib/vpn-metrics/", "/etc/vpn-gateway/metrics.json")
"""Beginnings of the paths of what publishes metrics."""
UPDATES = (
    *(f"{UNITS}/apt-daily", f"{UNITS}/vpn-updates.", "/usr/local/lib/vpn-updates/", f"{PROGRAMS}/vpn-updates"),
    *("/etc/apt/apt.conf.d/90vpn-updates", "/etc/vpn-gateway/updates.json"),
)
"""Beginnings of the paths of what installs security updates."""

STAMPS = "/var/lib/systemd/timers"
"""systemd creates it for the first timer with Persistent=true, and a gateway may have had none."""

Command = Sequence[str]


class Step(NamedTuple):
    """One step; the names `secrets` and `connections` stand for more than commands."""

    name: str
    commands: Sequence[Command] = ()


def plan(changes: Changes) -> list[Step]:
    """Return the steps in order.

    Units come before what they start, and the watch comes after the connections. But if pluto itself restarts, the
    watch comes first: its start would slow the negotiation down, for which the traffic waits. `connections` is always
    there, because what pluto has loaded may differ from an unchanged file. It also makes pluto read its keys.
    """
    steps = [make(changes) for make in (_retire, _units, _timers, _filter, _routes, _sshd)]
    last = [Step("connections"), _watch(changes)]
    steps += [
        *(reversed(last) if restarts_pluto(changes) else last),
        _metrics(changes),
        _enable(changes),
        _forget(changes),
    ]
    return [step for step in steps if step is not None]


def restricted(steps: Sequence[Step], attempted: Collection[str]) -> list[Step]:
    """Return the steps that take back what was attempted: nothing else has happened yet."""
    opposite = {"retire": "enable", "enable": "retire"}
    return [step for step in steps if opposite.get(step.name, step.name) in attempted]


def _units(changes: Changes) -> Step | None:
    return (
        Step("units", [["systemctl", "daemon-reload"]])
        if any(path.startswith(f"{UNITS}/") for path in changes)
        else None
    )


def _retire(changes: Changes) -> Step | None:
    """Stop the units that go, while systemd still knows them, and remove the links that start them at boot."""
    commands = list[Command]()
    for path, change in changes.items():
        if change.old and not change.new and (unit := _unit(path)):
            commands.append(["systemctl", "stop", unit])
            targets = re.findall(r"^WantedBy=(.*)", change.old.text, re.MULTILINE)
            links = [f"{UNITS}/{target}.wants/{unit}" for line in targets for target in line.split()]
            commands += [["rm", "-f", *links]] if links else []
    return Step("retire", commands) if commands else None


def _timers(changes: Changes) -> Step | None:
    """Restart the timers whose times change, also by additions: after a reload alone, systemd keeps the old times.

    Without its addition, a timer of Debian's makes up for a missed time at once, unless its stamp is new.
    """
    changed, freed = set[str](), set[str]()
    for path, change in changes.items():
        place = PurePosixPath(path)
        if str(place.parent.parent) == UNITS and place.parent.name.endswith(".timer.d"):
            changed.add(place.parent.name.removesuffix(".d"))
            if not change.new:
                freed.add(f"{STAMPS}/stamp-{place.parent.name.removesuffix('.d')}")
        elif change.old and change.new and _unit(path).endswith(".timer"):
            changed.add(place.name)
    stamped = [["mkdir", "-p", STAMPS], ["touch", *sorted(freed)]] if freed else []
    return Step("timers", [*stamped, ["systemctl", "restart", *sorted(changed)]]) if changed else None


def _filter(changes: Changes) -> Step | None:
    if _goes("vpn-filter", changes) or not {FILTER, f"{PROGRAMS}/vpn-filter", _file("vpn-filter")} & set(changes):
        return None
    # A reload is one transaction for each table, and forwarding stays on. Where the unit had failed, it starts.
    return Step("filter", [["systemctl", "reload-or-restart", "vpn-filter"]])


def _routes(changes: Changes) -> Step | None:
    if _goes("vpn-sysctl", changes) or not {ROUTES, f"{PROGRAMS}/vpn-sysctl", _file("vpn-sysctl")} & set(changes):
        return None
    old, new = (set[str](), set[str]())
    if change := changes.get(ROUTES):
        # Release 0.1.0 had a line for each range; later ones have one line.
        old, new = (set(re.findall(r"[\d.]+/\d+", file.text)) if file else set() for file in change)
    gone = [["ip", "-4", "route", "flush", "table", "main", "exact", block] for block in sorted(old - new)]
    return Step("routes", [["systemctl", "restart", "vpn-sysctl"], *gone])


def _sshd(changes: Changes) -> Step | None:
    # Sessions stay, also the one that this program runs in.
    return (
        Step("sshd", [["systemctl", "reload", "ssh"]]) if any(path.startswith(f"{SSHD}/") for path in changes) else None
    )


def _watch(changes: Changes) -> Step | None:
    read = [path for path in changes if path in {GATEWAY, _file("vpn-watch")} or path.startswith(f"{LIBRARY}/")]
    if _goes("vpn-watch", changes) or not read:
        return None
    # Its start takes a second of the processor. pluto restarts after that, because the tunnel waits for pluto.
    started = [["sleep", "3"]] if restarts_pluto(changes) else []
    return Step("watch", [["systemctl", "restart", "vpn-watch"], *started])


def _metrics(changes: Changes) -> Step | None:
    unit = changes.get(METRICS[0])
    comes_or_goes = unit is not None and not (unit.old and unit.new)
    if comes_or_goes or not any(path.startswith(METRICS) for path in changes):
        return None
    return Step("metrics", [["systemctl", "restart", "vpn-metrics"]])


def _enable(changes: Changes) -> Step | None:
    new = [
        unit
        for path, change in changes.items()
        if change.new and not change.old and "[Install]" in change.new.text and (unit := _unit(path))
    ]
    return Step("enable", [["systemctl", "enable", "-q", "--now", *new]]) if new else None


def _forget(changes: Changes) -> Step | None:
    """Remove the secrets of peers that are gone. The last step, because it cannot be taken back."""
    if SECRETS not in changes:
        return None
    old, new = (_peers(file.text) if file else set[str]() for file in changes[SECRETS])
    gone = [f"/etc/ipsec.d/{name}.secrets" for name in sorted(old - new)]
    return Step("forget", [["rm", "-f", *gone]]) if gone else None


def _peers(secrets: str) -> set[str]:
    try:
        return {name for name in json.loads(secrets)["connections"] if "/" not in name}
    except (ValueError, KeyError, TypeError):
        return set()


def _file(name: str) -> str:
    return f"{UNITS}/{name}.service"


def _goes(name: str, changes: Changes) -> bool:
    """Return whether a unit is removed: there is nothing to start."""
    change = changes.get(_file(name))
    return change is not None and change.new is None


def _unit(path: str) -> str:
    """Return the unit whose file this is; nothing for other files, also for additions to a unit."""
    place = PurePosixPath(path)
    return place.name if str(place.parent) == UNITS else ""


def restarts_pluto(changes: Changes) -> bool:
    """Return whether pluto has to start again: it reads `config setup` only then."""
    change = changes.get(ipsec_conf.PATH)
    if not change:
        return False
    old, new = (ipsec_conf.parse(file.text).setup if file else None for file in change)
    return old != new
