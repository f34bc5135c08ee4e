"""Debian's security suite in the lab's package mirror, with packages that are newer than those of the guest image.

The packages are those of the image, packed again with a later version. The kernel package is a stand-in: it brings a
file in /boot and tells unattended-upgrades about it, as Debian's do. The lab's machines start the kernel of the image.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from lab import settings
from lab.machines import mirror
from lab.machines.image import image_of
from lab.machines.releases import DEFAULT, find

KERNEL: Final = "6.99.0-cloud-amd64"
"""Release of the newer kernel."""

_META: Final = "linux-image-cloud-amd64"
_KERNEL_POSTINST: Final = (
    f"#!/bin/sh\nexec /etc/kernel/postinst.d/unattended-upgrades {KERNEL} /boot/vmlinuz-{KERNEL}\n"
)

_CODENAME: Final = f"{find(DEFAULT).codename}-security"
SOURCE: Final = f"deb [trusted=yes] http://{settings.MIRROR_HOST}/{_CODENAME} ./\n"
"""The line of sources.list(5)."""


def offer(*packages: Callable[[Path], None]) -> None:
    """Publish the suite with these packages alone; each writes its .deb file into a folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "packages")
        folder.mkdir()
        for write in packages:
            write(folder)
        mirror.write_indices(folder, codename=_CODENAME, origin="Debian", label="Debian-Security")
        shutil.rmtree(settings.CACHE / folder.name, ignore_errors=True)
        mirror.publish(Path(shutil.move(folder, settings.CACHE)), settings.CACHE / "mirror" / _CODENAME)


def withdraw() -> None:
    """Remove the suite."""
    shutil.rmtree(settings.CACHE / "mirror" / _CODENAME, ignore_errors=True)


def libreswan(suffix: str, *, works: bool = True) -> Callable[[Path], None]:
    """Return what packs the image's Libreswan with `suffix` after its version; its pluto may not work."""

    def write(folder: Path) -> None:
        (original,) = image_of(DEFAULT).mirror.glob("libreswan_*.deb")
        with tempfile.TemporaryDirectory() as name:
            content = Path(name)
            subprocess.run(["dpkg-deb", "--raw-extract", str(original), name], check=True)
            control = content / "DEBIAN/control"
            control.write_text(re.sub(r"(?m)^Version: .*$", rf"\g<0>{suffix}", control.read_text()))
            if not works:
                (content / "usr/libexec/ipsec/pluto").write_text("#!/bin/sh\nexit 1\n")
            _pack(content, folder)

    return write


def kernel(folder: Path) -> None:
    """Pack a newer kernel, and the package that asks for it."""
    with ExitStack() as stack:
        image, meta = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        (image / "boot").mkdir()
        shutil.copyfile(image_of(DEFAULT).kernel, image / "boot" / f"vmlinuz-{KERNEL}")
        _control(image, f"linux-image-{KERNEL}", "6.99.0-1")
        postinst = image / "DEBIAN/postinst"
        postinst.write_text(_KERNEL_POSTINST)
        postinst.chmod(0o755)
        _control(meta, _META, "6.99.0-1", f"Depends: linux-image-{KERNEL}\n")
        for content in (image, meta):
            _pack(content, folder)


def _control(content: Path, package: str, version: str, more: str = "") -> None:
    (content / "DEBIAN").mkdir()
    (content / "DEBIAN/control").write_text(
        f"Package: {package}\nVersion: {version}\nArchitecture: amd64\nMaintainer: lab <lab@example.com>\n{more}"
        "Description: a package of the lab\n"
    )


def _pack(content: Path, folder: Path) -> None:
    # The newest compression takes an emulated processor longest.
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(content), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
