"""Mounts below a directory. A directory tree is deleted only after everything in it is unmounted."""

import re
import shutil
import subprocess
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")


def below(directory: Path) -> list[Path]:
    """Return the mount points at or below `directory`, the deepest first."""
    top = directory.resolve()
    points = [Path(_unescape(line.split()[4])) for line in _MOUNTINFO.read_text().splitlines()]
    return sorted((point for point in points if point.is_relative_to(top)), reverse=True)


def remove_tree(directory: Path) -> None:
    """Unmount everything below `directory`, then delete it. Does nothing if it does not exist.

    Raises OSError and deletes nothing when a file system stays mounted.
    """
    if not directory.exists():
        return
    for point in below(directory):
        subprocess.run(["umount", "--lazy", str(point)], check=False, capture_output=True)
    if busy := below(directory):
        raise OSError(f"lab: {busy[0]} cannot be unmounted, so {directory} is kept; unmount it by hand")
    shutil.rmtree(directory)


def _unescape(text: str) -> str:
    # proc(5): space, tab, newline and backslash are written as octal numbers.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
