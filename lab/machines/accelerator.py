"""Decide whether KVM works on this host: some hosts offer /dev/kvm, but a guest hangs in its first instructions."""

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from lab import settings
from lab.machines.image import GuestImage

Accelerator = Literal["kvm", "tcg"]

_DEVICE = Path("/dev/kvm")
_DEADLINE_SECONDS = 8.0
_USERSPACE = b"LAB-USERSPACE"


def choose(image: GuestImage) -> Accelerator:
    """Return `kvm` if a guest kernel reaches userspace with it on this host, else `tcg` (emulation).

    The probe boots the kernel of `image` for at most 8 s. Its result is kept until the host reboots.
    """
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return "tcg"
    cache, host = settings.CACHE / "accelerator.json", _host_fingerprint()
    try:
        cached = json.loads(cache.read_text())
        if cached["host"] == host:
            return "kvm" if cached["kvm"] else "tcg"
    except (FileNotFoundError, ValueError, KeyError):
        pass
    works = reaches_userspace(image, "kvm", deadline=_DEADLINE_SECONDS)
    cache.parent.mkdir(parents=True, exist_ok=True)
    cache.write_text(json.dumps({"host": host, "kvm": works}))
    return "kvm" if works else "tcg"


def reaches_userspace(image: GuestImage, accelerator: Accelerator, *, deadline: float) -> bool:
    """Boot the image's kernel without a disk; return whether a program ran in it within `deadline` seconds."""
    with TemporaryDirectory(prefix="lab-probe-") as directory:
        console = Path(directory) / "console"
        console.touch()
        process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
                *("-M", "pc", "-accel", accelerator, "-cpu", "max", "-m", "256"),
                *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
                # The initramfs has a shell, so that a program can run without a disk.
                *("-append", f"console=ttyS0 loglevel=3 panic=-1 rdinit=/bin/echo -- {_USERSPACE.decode()}"),
                *("-serial", f"file:{console}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return _reached_userspace(console, process, deadline)
        finally:
            process.kill()
            process.wait()


def _reached_userspace(console: Path, process: "subprocess.Popen[bytes]", deadline: float) -> bool:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        ended = process.poll() is not None
        if _USERSPACE in console.read_bytes():
            return True
        if ended:
            return False
        time.sleep(0.05)
    return False


def _host_fingerprint() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{platform.release()} {boot}"
