"""Guest images: built once from Debian packages, cached under a digest of their recipe."""

import ast
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab import settings
from lab.machines import build, mirror, mounts, recipe, releases
from lab.machines.build import ImageError, Progress
from lab.machines.releases import Release
from lab.network.certificates import ca_certificate_pem

_FREE_BYTES = 3 * 1024**3
_SHAPED_BY = (build, mirror, recipe)


@dataclass(frozen=True, kw_only=True)
class GuestImage:
    """An image in the cache. All its paths but `mirror` are inside one directory."""

    release: Release
    directory: Path

    @property
    def root(self) -> Path:
        """The image's files as a directory tree: the read-only lower layer of hosts."""
        return self.directory / "root"

    @property
    def disk(self) -> Path:
        """Raw ext4 file system: the backing file of virtual machines' disks."""
        return self.directory / "disk.ext4"

    @property
    def kernel(self) -> Path:
        """The kernel, for direct boot."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initramfs with the drivers of the lab's machines."""
        return self.directory / "initrd"

    @property
    def mirror(self) -> Path:
        """The package mirror that belongs to this image."""
        return settings.CACHE / "mirror" / self.release.codename


def image_of(release: str) -> GuestImage:
    """Return the image of `release` (e.g. `debian-13`), which exists once `ensure_image` has built it."""
    guest = releases.find(release)
    files = recipe.files(guest, ca_certificate_pem().decode())
    digest = hashlib.sha256(f"{files}{_recipe_syntax()}".encode()).hexdigest()
    directory = settings.CACHE / "guest" / f"{guest.codename}-{digest[:12]}"
    return GuestImage(release=guest, directory=directory)


def ensure_image(release: str, progress: Progress) -> GuestImage:
    """Return the guest image of `release`; build it and its package mirror if there is none (about a minute).

    An incomplete image is never used, and only one process builds at a time. Raises ImageError, whose message is for
    the user, UnknownReleaseError, or host_sources.NoSourcesError.
    """
    image = image_of(release)
    if _is_complete(image):
        return image
    _check_host()
    with _lock(image.release, progress):
        if not _is_complete(image):
            _build(image, progress)
    return image


def tool_root(release: str, progress: Progress = lambda _: None) -> Path:
    """Return a copy of the image's directory tree with the recipe's tool packages; build it if there is none.

    Callers must not write to it: `lab.machines.toolroot.run` uses a temporary layer over it.
    """
    image = ensure_image(release, progress)
    tools = image.directory / "tools"
    if tools.exists():
        return tools
    with _lock(image.release, progress):
        if not tools.exists():
            building = image.directory / ".tools"
            mounts.remove_tree(building)
            log = _log(image.release)
            log.parent.mkdir(parents=True, exist_ok=True)
            build.run_logged(["cp", "--archive", str(image.root), str(building)], log)
            build.install_tools(building, image.mirror, log)
            building.rename(tools)
    return tools


@cache
def _recipe_syntax() -> str:
    return "".join(_syntax(Path(str(module.__file__)).read_text()) for module in _SHAPED_BY)


def _syntax(source: str) -> str:
    # Comments, line breaks and docstrings do not shape an image.
    return ast.dump(_WithoutDocstrings().visit(ast.parse(source)))


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes expressions that consist of a constant: docstrings of modules, classes, functions and attributes."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Return None for a docstring."""
        return None if isinstance(node.value, ast.Constant) else node


def _is_complete(image: GuestImage) -> bool:
    # The last step of the build gives the directory this name.
    return image.directory.exists() and image.mirror.exists()


def _build(image: GuestImage, progress: Progress) -> None:
    release, log = image.release, _log(image.release)
    building = image.directory.with_name(f".building-{release.codename}")
    mounts.remove_tree(building)
    building.mkdir(parents=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    work = GuestImage(release=release, directory=building)
    started = time.monotonic()

    def report(text: str) -> None:
        progress(f"guest image {release.name}: {text} ({time.monotonic() - started:.0f} s)")

    report(f"installing {len(recipe.PACKAGES) + 1} packages and their dependencies; log in {log}")
    build.install_root(release, work.root, building / "packages", log)
    report("packages are installed, writing configuration and disk")
    build.customise_root(release, work.root, ca_certificate_pem().decode(), log)
    build.make_disk(work.root, work.disk, log)
    build.copy_kernel(work.root, building)
    count = build.make_mirror(release, building / "packages", image.mirror)
    mounts.remove_tree(image.directory)
    building.rename(image.directory)
    _remove_older(image)
    report(f"ready, with a mirror of {count} packages")


def _remove_older(image: GuestImage) -> None:
    """Remove older images of the same release, unless machines may be running on them."""
    if (settings.RUN / "machines").exists():
        return
    for directory in image.directory.parent.glob(f"{image.release.codename}-*"):
        if directory.is_dir() and directory != image.directory:
            mounts.remove_tree(directory)


def _check_host() -> None:
    if os.geteuid() != 0:
        raise ImageError("lab: building the guest image needs root; run it as root (sudo make lab)")
    for tool in ("mmdebstrap", "mke2fs", "dpkg-scanpackages", "unshare"):
        if shutil.which(tool) is None:
            raise ImageError(f"lab: the tool {tool!r} is missing; run `make setup`")
    settings.CACHE.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.CACHE).free
    if free < _FREE_BYTES:
        raise ImageError(
            f"lab: building the guest image needs {_FREE_BYTES / 1024**3:.0f} GiB of free disk at {settings.CACHE}, "
            f"there are {free / 1024**3:.1f}; delete files that are not needed"
        )


@contextmanager
def _lock(release: Release, progress: Progress) -> Iterator[None]:
    path = settings.CACHE / "guest" / f"{release.codename}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"guest image {release.name}: another process is building; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _log(release: Release) -> Path:
    return settings.LOGS / f"image-{release.codename}.log"
