"""Puts many files in place at once: after a power cut there are all of them, or none.

`stage` writes the files to a folder of their own. `commit` renames that folder: from then on the change counts.
`finish` renames each file into its place, and can be called again at any point; vpn-commit does so at boot.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from vpn_configure.errors import ConfigureError
from vpn_configure.files import Changes, File
from vpn_configure.machine import Machine, make_folder, sync_folder, write_through

STAGE = "/var/lib/vpn-gateway/stage"
COMMIT = "/var/lib/vpn-gateway/commit"

_TREE, _LIST = "tree", "list.json"

TREE = f"{STAGE}/{_TREE}"
"""The staged files, by their paths."""


def staged(path: str) -> str:
    """Return where a file is before it is in place."""
    return f"{TREE}{path}"


def stage(machine: Machine, wanted: Changes) -> None:
    """Write the new files beside the old ones. Raises ConfigureError where no rename could put them in place."""
    top = machine.place(STAGE)
    shutil.rmtree(top, ignore_errors=True)
    machine.place(TREE).mkdir(parents=True)
    device = top.stat().st_dev
    for path, change in wanted.items():
        parent = next(each for each in machine.place(path).parents if each.exists())
        if parent.stat().st_dev != device:
            raise ConfigureError(f"{path} is on another file system than {STAGE}: a change of both cannot be one")
        if change.new:
            place = machine.place(staged(path))
            place.parent.mkdir(parents=True, exist_ok=True)
            write_through(place, change.new)
    listed = {
        "files": [path for path, change in wanted.items() if change.new],
        "removed": [path for path, change in wanted.items() if not change.new],
    }
    _write_list(machine, listed)


def add(machine: Machine, paths: Sequence[str]) -> None:
    """Put these files in place too, which somebody else has written to `TREE`."""
    listed = json.loads(machine.read(f"{STAGE}/{_LIST}"))
    _write_list(machine, {**listed, "files": [*listed["files"], *paths]})


def unstage(machine: Machine) -> None:
    """Forget what was staged."""
    shutil.rmtree(machine.place(STAGE), ignore_errors=True)


def commit(machine: Machine) -> None:
    """Make what is staged count, and put it in place."""
    # The names of the staged files and of the program that finishes this.
    os.sync()
    machine.place(STAGE).rename(machine.place(COMMIT))
    sync_folder(machine.place(COMMIT).parent)
    finish(machine)


def finish(machine: Machine) -> list[str]:
    """Put each file of a commit in place that is not yet there; return the paths of all files of the commit."""
    top = machine.place(COMMIT)
    if not top.exists():
        return []
    folders = set[Path]()
    paths: list[str] = []
    if (top / _LIST).exists():
        listed = json.loads((top / _LIST).read_text(encoding="utf-8"))
        paths = [*listed["files"], *listed["removed"]]
        for path in listed["files"]:
            source, target = top / _TREE / path.lstrip("/"), machine.place(path)
            if source.exists():
                make_folder(target.parent)
                source.replace(target)
            folders.add(target.parent)
        for path in listed["removed"]:
            machine.place(path).unlink(missing_ok=True)
            folders.add(machine.place(path).parent)
        for folder in sorted(each for each in folders if each.exists()):
            sync_folder(folder)
        # Without its list a commit is over.
        (top / _LIST).unlink()
        sync_folder(top)
    shutil.rmtree(top)
    return paths


def _write_list(machine: Machine, listed: Mapping[str, Sequence[str]]) -> None:
    write_through(machine.place(f"{STAGE}/{_LIST}"), File(0o600, json.dumps(listed)))
