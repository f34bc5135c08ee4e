"""The command, which systemd runs at the times of the window.

Exit code of `--may-upgrade`: 0 when the upgrade may begin, 1 when it may not, which makes systemd skip it. Of
`--finish`: 0, or 1 when something waits.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from expectations import ExpectationsError, load
from vpn_updates import machine
from vpn_updates.decide import HELD, NOTHING, OUTSIDE, REBOOT, RESTART, UPGRADE, Decision, Window, finish, may_upgrade

WINDOW = "etc/vpn-gateway/updates.json"
RECORD = "var/lib/vpn-gateway/updates.json"
"""The last decision of each kind that was taken inside the window. vpn-verify reads it."""

_LOCKED = 75

UNLESS_LOCKED = ("flock", "-n", "-E", str(_LOCKED), "/run/vpn-configure.lock")
"""Not while vpn-configure changes the gateway."""


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="vpn-updates", description="Decides about security updates.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--may-upgrade", action="store_true", help="exit with 0 if an upgrade may begin now")
    which.add_argument("--finish", action="store_true", help="restart what an upgrade has replaced, or reboot")
    which.add_argument("--pending", action="store_true", help="print what the installed updates need")
    options = parser.parse_args()
    if options.pending:
        needs = machine.needs()
        print("\n".join([*needs.reboot, *(f"restart of {unit}" for unit in needs.restart)]))
        return 0
    inside = _window().contains(time.strftime("%H:%M", time.gmtime()))
    if options.may_upgrade:
        installed = (machine.ROOT / machine.UPGRADER).exists()
        decision = may_upgrade(inside=inside, faults=_faults() if inside else [], installed=installed)
        return _told("upgrade", decision, {UPGRADE})
    needs = machine.needs()
    faults = _faults() if inside and needs.reboot else []
    decision = finish(inside=inside, faults=faults, needs=needs)
    code = _told("restart", decision, {NOTHING, OUTSIDE, RESTART, REBOOT})
    return _take(decision, needs.restart) or code


def _take(decision: Decision, units: Sequence[str]) -> int:
    if decision.action not in {RESTART, REBOOT}:
        return 0
    if machine.installs_packages(machine.ROOT):
        return _told("restart", Decision(HELD, "packages are being installed"), set())
    what = ["restart", *units] if decision.action == RESTART else ["reboot"]
    code = subprocess.run([*UNLESS_LOCKED, "systemctl", *what], check=False).returncode
    if code == _LOCKED:
        return _told("restart", Decision(HELD, "vpn-configure changes this gateway"), set())
    return code


def _told(kind: str, decision: Decision, good: set[str]) -> int:
    """Print a decision, and record it if it was taken inside the window; return the exit code."""
    print(f"{kind}: {decision.action}: {decision.reason}".removesuffix(": "), flush=True)
    if decision.action != OUTSIDE:
        record(kind, decision)
    return 0 if decision.action in good else 1


def record(kind: str, decision: Decision, root: Path = machine.ROOT) -> None:
    """Write a decision beside the last one of the other kind."""
    path = root / RECORD
    known = {**_record(path), kind: {"time": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), **decision._asdict()}}
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(known), encoding="utf-8")
    draft.replace(path)


def _record(path: Path) -> Mapping[str, object]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _faults() -> list[str]:
    try:
        return machine.faults(load())
    except ExpectationsError as error:
        return [str(error)]


def _window() -> Window:
    try:
        return Window(**json.loads((machine.ROOT / WINDOW).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        sys.exit(f"/{WINDOW} cannot be read: {error}: sudo vpn-configure")
