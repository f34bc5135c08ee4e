"""The steps that build a guest image: mmdebstrap, the files of the recipe, ext4, the package mirror."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lab.machines import mirror, recipe
from lab.machines.host_sources import debian_sources
from lab.machines.releases import Release

Progress = Callable[[str], None]

_LOG_LINES = 5


class ImageError(Exception):
    """A guest image cannot be built; the message names the step, the reason and the log."""


def run_logged(command: Sequence[str], log: Path) -> None:
    """Run `command` with its output appended to `log`; raise ImageError with the last lines when it fails."""
    with log.open("ab") as output:
        output.write(f"+ {shlex.join(command)}\n".encode())
        output.flush()
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                env=_environment(),
            ).returncode
        except FileNotFoundError as error:
            raise ImageError(f"lab: the tool {command[0]!r} is missing; run `make setup`") from error
    if code:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        raise ImageError(f"lab: {command[0]} failed with exit code {code}; log in {log}, which ends with:\n{last}")


def install_root(release: Release, root: Path, packages: Path, log: Path) -> None:
    """Install the recipe's packages into the new directory `root`; put the mirrored ones, as files, into `packages`."""
    packages.mkdir(parents=True)
    store = shlex.quote(str(packages))
    initramfs = packages.with_name("initramfs-tools")
    _write(recipe.INITRAMFS_FILES, initramfs)
    # The download runs with the host's apt, and so with its proxy and certificates.
    download = (
        'rm -f "$1"/var/cache/apt/archives/*.deb && '
        'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --download-only install '
        f'{" ".join(recipe.MIRRORED_PACKAGES)} && mv "$1"/var/cache/apt/archives/*.deb {store}'
    )
    run_logged(
        [
            # In a mount namespace, so that all mounts of mmdebstrap end with it, even after a crash.
            *("unshare", "--mount", "--propagation", "private", "mmdebstrap"),
            *("--variant=apt", "--mode=root", "--format=directory"),
            *(
                '--aptopt=Acquire::Languages "none"',
                '--aptopt=APT::Install-Recommends "false"',
                '--aptopt=Acquire::Retries "3"',
            ),
            *(f"--dpkgopt={option}" for option in recipe.DPKG_OPTIONS),
            f"--include={','.join((*recipe.PACKAGES, release.dhcp_client))}",
            f'--essential-hook=cp --recursive {shlex.quote(str(initramfs))} "$1/etc"',
            f"--customize-hook={download}",
            *(release.codename, str(root), *debian_sources(release.codename)),
        ],
        log,
    )


def customise_root(release: Release, root: Path, ca_certificate_pem: str, log: Path) -> None:
    """Write the recipe's files, enable and mask its units, and remove the files that must differ between machines."""
    _write(recipe.files(release, ca_certificate_pem), root)
    # These are mmdebstrap's apt options for the build.
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    chroot = ["chroot", str(root)]
    run_logged([*chroot, "update-ca-certificates"], log)
    run_logged([*chroot, "systemctl", "--quiet", "enable", *recipe.ENABLED_UNITS], log)
    run_logged([*chroot, "systemctl", "--quiet", "mask", *recipe.MASKED_UNITS], log)
    # Newer than /usr, so that the first boot does not rebuild the packages' caches (ConditionNeedsUpdate=).
    for stamp in ("etc/.updated", "var/.updated"):
        (root / stamp).touch()


def _write(files: Iterable[recipe.File], folder: Path) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
        path.chmod(file.mode)


def make_disk(root: Path, disk: Path, log: Path) -> None:
    """Write the directory tree `root` as a raw ext4 file system, without a partition table."""
    disk.touch()
    os.truncate(disk, recipe.DISK_BYTES)
    # No journal: a machine's overlay is deleted and never recovered.
    options = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1,discard", "-m", "0"]
    run_logged(["mke2fs", *options, "-d", str(root), str(disk)], log)


def copy_kernel(root: Path, directory: Path) -> None:
    """Copy the newest kernel and its initramfs out of `root` as `vmlinuz` and `initrd`."""
    for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd", "initrd.img-*")):
        files = sorted((root / "boot").glob(pattern))
        if not files:
            raise ImageError(f"lab: {root / 'boot'} has no {pattern}; the kernel package was not installed")
        shutil.copyfile(files[-1], directory / name)


def make_mirror(release: Release, packages: Path, published: Path) -> int:
    """Create the package mirror of `release` from a folder of .deb files; return the number of packages."""
    count = mirror.write_indices(packages, codename=release.codename)
    mirror.publish(packages, published)
    return count


def install_tools(root: Path, packages: Path, log: Path) -> None:
    """Install the recipe's tool packages and their dependencies from the mirror `packages` into `root`, offline."""
    source = root / "etc/apt/sources.list"
    original = source.read_text()
    copied_mirror = root / "srv/mirror"
    shutil.copytree(packages, copied_mirror)
    try:
        source.write_text("deb [trusted=yes] file:/srv/mirror ./\n")
        apt = ["chroot", str(root), "apt-get", "--quiet", "--yes", "--no-install-recommends"]
        isolated = ["unshare", "--mount", "--net", "--propagation", "private"]
        run_logged([*isolated, *apt, "update"], log)
        run_logged([*isolated, *apt, "install", *recipe.TOOL_PACKAGES], log)
        run_logged([*apt, "clean"], log)
    finally:
        source.write_text(original)
        shutil.rmtree(copied_mirror)


def _environment() -> dict[str, str]:
    # C.UTF-8 exists in every Debian; the host's own locale may not exist in the guest.
    return {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
