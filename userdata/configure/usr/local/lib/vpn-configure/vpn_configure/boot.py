"""The first boot, whose steps start everything from the same files: a change waits for its end."""

import time
from typing import NamedTuple

from vpn_configure.errors import ConfigureError
from vpn_configure.machine import Machine

STATE = "/var/lib/vpn-gateway/boot"
"""`running STEP`, `failed STEP` or `done`; vpn-boot writes it."""

LOG = "/var/log/vpn-boot.log"
CLOUD_INIT = "/run/cloud-init/result.json"
"""Written when cloud-init has done all of a boot."""

AGAIN = ("systemd-run", "--wait", "--collect", "-q", "--unit=vpn-boot-again", "/usr/local/sbin/vpn-boot")
"""A unit of its own: the loss of the SSH session does not end it."""

AGAIN_SECONDS = 1800


class Boot(NamedTuple):
    """How far the first boot is."""

    word: str
    """`running`, `failed` or `done`."""
    step: str


def boot(machine: Machine) -> Boot:
    """Return how far the first boot is; one that was interrupted counts as failed."""
    word, step = _state(machine)
    if word in {"done", "failed"}:
        return Boot(word, step)
    interrupted = bool(machine.run("pidof", "-x", "vpn-boot").code if word else machine.read(CLOUD_INIT))
    if interrupted:
        # vpn-boot may have begun or ended since the first look.
        now = _state(machine)
        if now != (word, step):
            return boot(machine)
    return Boot("failed" if interrupted else "running", step or "before its first step")


def _state(machine: Machine) -> tuple[str, str]:
    word, _, step = machine.read(STATE).strip().partition(" ")
    return word, step


def after(machine: Machine, seconds: float) -> Boot:
    """Return the boot's state at its end; raises ConfigureError when it has not ended after so many seconds."""
    deadline = time.monotonic() + seconds
    while (found := boot(machine)).word == "running":
        if time.monotonic() >= deadline:
            raise ConfigureError(
                f"the first boot has not ended after {seconds:.0f} s: {found.step}: read {LOG}, then pulumi up again"
            )
        time.sleep(1)
    return found


def again(machine: Machine) -> None:
    """Take the steps of the boot again; raises ConfigureError when one fails."""
    done = machine.run(*AGAIN, seconds=AGAIN_SECONDS)
    found = boot(machine)
    if done.code or found.word != "done":
        last = "\n".join(machine.read(LOG).splitlines()[-10:])
        raise ConfigureError(
            f"the first boot failed, and with the new files again: step {found.step}: {done.output}\n{last}\n"
            f"remove the cause, then: sudo vpn-boot"
        )
