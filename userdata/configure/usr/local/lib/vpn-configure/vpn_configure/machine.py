"""The files and commands of this machine. Tests give it another root and another way to run commands."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from vpn_configure.files import File


class Done(NamedTuple):
    """What a command left."""

    code: int
    output: str
    """Standard output and error."""


Run = Callable[[Sequence[str], float], Done]
"""Runs a command for so many seconds at most."""

NO_END = 124
"""Exit code of a command that did not end in time, as of timeout(1)."""

NO_COMMAND = 127
"""Exit code of a command that does not exist, as of a shell."""


def run_command(argv: Sequence[str], seconds: float) -> Done:
    """Run a command."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        done = subprocess.run(argv, timeout=seconds, check=False, **options)  # type: ignore[call-overload]
    except FileNotFoundError:
        return Done(NO_COMMAND, f"{argv[0]} does not exist")
    except subprocess.TimeoutExpired as error:
        said = (error.output or b"").decode(errors="replace")
        return Done(NO_END, f"{said}\nno end after {seconds:.0f} s".strip())
    return Done(done.returncode, done.stdout.decode(errors="replace").strip())


class Machine:
    """A gateway."""

    def __init__(self, root: Path = Path("/"), run: Run = run_command) -> None:
        self.root, self._run = root, run

    def place(self, path: str) -> Path:
        """Return where a path of the gateway is."""
        return self.root / path.lstrip("/")

    def run(self, *argv: str, seconds: float = 120) -> Done:
        """Run a command."""
        return self._run(argv, seconds)

    def read(self, path: str) -> str:
        """Return a file's text, or nothing when there is none."""
        file = self.file(path)
        return file.text if file else ""

    def file(self, path: str) -> File | None:
        """Return a file; None when there is none, or something else than a file of root."""
        place = self.place(path)
        try:
            status = place.lstat()
            # What is no UTF-8 is kept, so that it can be put back.
            text = place.read_text(encoding="utf-8", errors="surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return File(status.st_mode & 0o7777, text) if not place.is_symlink() else File(0, text)

    def write(self, path: str, file: File) -> None:
        """Write a file that is in place, or not, also after a power cut."""
        place = self.place(path)
        make_folder(place.parent)
        draft = place.with_name(f"{place.name}.new")
        write_through(draft, file)
        draft.replace(place)
        sync_folder(place.parent)


def write_through(place: Path, file: File) -> None:
    """Write a file with its mode through to the disk."""
    place.unlink(missing_ok=True)
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(file.text.encode("utf-8", errors="surrogateescape"))
        os.fchmod(opened.fileno(), file.mode)
        opened.flush()
        os.fsync(opened.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and its parents with mode 0755, regardless of the umask.

    sshd reads the list of keys with the rights of the user who logs in.
    """
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir()
            each.chmod(0o755)
            sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def say(text: str) -> None:
    """Print a line. Who called may be gone: the change goes on."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def complain(text: str) -> None:
    """Print a reason."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
