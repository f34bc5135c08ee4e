"""The package mirror of the guests: a flat Debian repository, which is a folder of packages with deb822 indices."""

import gzip
import hashlib
import shutil
import subprocess
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path


def write_indices(directory: Path, *, codename: str, origin: str = "lab", label: str = "lab") -> int:
    """Write Packages, Packages.gz and Release for the .deb files of `directory`; return the number of packages.

    A guest's unattended-upgrades chooses suites by `codename`, `origin` and `label`.

    The format is the flat repository of https://wiki.debian.org/DebianRepository/Format.
    """
    packages = subprocess.run(
        ["dpkg-scanpackages", "--multiversion", "."], cwd=directory, check=True, capture_output=True
    ).stdout
    (directory / "Packages").write_bytes(packages)
    (directory / "Packages.gz").write_bytes(gzip.compress(packages, mtime=0))
    indices = [directory / "Packages", directory / "Packages.gz"]
    sums = "".join(
        f" {hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} {path.name}\n" for path in indices
    )
    (directory / "Release").write_text(
        f"Origin: {origin}\nLabel: {label}\nSuite: {codename}\nCodename: {codename}\nArchitectures: amd64 all\n"
        f"Date: {format_datetime(datetime.now(UTC), usegmt=True)}\nSHA256:\n{sums}"
    )
    return packages.count(b"\nFilename: ")


def publish(built: Path, published: Path) -> None:
    """Replace the repository `published` by `built`. For an instant between the two renames there is none."""
    published.parent.mkdir(parents=True, exist_ok=True)
    old = published.with_name(f".{published.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if published.exists():
        published.rename(old)
    built.rename(published)
    shutil.rmtree(old, ignore_errors=True)
