"""Lists of files: what a gateway should have, what it was given last, and what is on its disk."""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from vpn_configure.errors import ConfigureError

NEXT = "/var/lib/vpn-gateway/next.json"
"""What is prepared: the installer writes it before it runs `vpn-configure --prepare`."""

DESIRED = "/var/lib/vpn-gateway/desired.json"
"""What the gateway is to be: `vpn-configure --revision` makes it of what was prepared."""

UNFINISHED = "/var/lib/vpn-gateway/unfinished"
"""It is there while a run makes a change. A boot that finds it runs `vpn-configure`."""

DEPLOYED = "/var/lib/vpn-gateway/deployed.json"
"""The list that was put in place last, written when all of it counts."""

BEFORE = "/var/lib/vpn-gateway/before.json"
"""What a change replaces, and the keys, for as long as not all of it counts: after a killed run, the next goes on."""


class File(NamedTuple):
    """A file of root."""

    mode: int
    text: str


Files = Mapping[str, File]
"""Path -> file."""

OldFiles = Mapping[str, File | None]
"""Path -> file; None: there is none."""


class FileList(NamedTuple):
    """A revision of a gateway's files."""

    revision: str
    files: Files


def parse(text: str, path: str) -> FileList:
    """Return the list in a file; raises ConfigureError."""
    try:
        data = json.loads(text)
        files = {each["path"]: File(int(each["mode"]), str(each["text"])) for each in data["files"]}
        return FileList(str(data["revision"]), files)
    except (ValueError, KeyError, TypeError) as error:
        # Not the text: it may have secrets.
        raise ConfigureError(f"{path} is not a list of files ({type(error).__name__}): pulumi up writes it") from None


def dump(files: FileList) -> str:
    """Return the text of a list."""
    listed = [{"path": path, **file._asdict()} for path, file in files.files.items()]
    return json.dumps({"revision": files.revision, "files": listed})


def parse_old(text: str) -> OldFiles:
    """Return what `dump_old` made a text of; nothing of a text that is not whole."""
    try:
        return {path: File(*entry) if entry else None for path, entry in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def dump_old(old: OldFiles) -> str:
    """Return the text of files that a change replaces."""
    return json.dumps(old)


class Change(NamedTuple):
    """A file before and after; None: there is none."""

    old: File | None
    new: File | None


Changes = Mapping[str, Change]
"""Path -> change; only files that differ."""


def changes(old: OldFiles, desired: Files, given: Iterable[str]) -> dict[str, Change]:
    """Return what has to change, in the order of the desired list.

    `old` is what there is now. `given` are the paths of earlier lists: files that are no longer desired are removed.
    """
    wanted: dict[str, File | None] = {**desired, **{path: None for path in given if path not in desired}}
    found = {path: Change(old.get(path), new) for path, new in wanted.items()}
    return {path: change for path, change in found.items() if change.old != change.new}


def reverse(done: Changes) -> dict[str, Change]:
    """Return the changes that take these back."""
    return {path: Change(change.new, change.old) for path, change in done.items()}
