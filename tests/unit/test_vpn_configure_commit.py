"""Many files at once, also through power cuts: on a temporary root, with a cut before every single change of a name.

Proves the order of the changes. Does not prove that the disk keeps what fsync(2) has returned for.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn_configure import commit
from vpn_configure.errors import ConfigureError
from vpn_configure.files import Change, Changes, File, changes
from vpn_configure.machine import Machine

NAMES = ("rename", "replace", "unlink", "rmdir", "mkdir")
PATHS = ("/etc/vpn-gateway/routes", "/etc/systemd/system/a.service", "/usr/local/lib/new/x.py", "/etc/a b")
LISTS = st.dictionaries(
    st.sampled_from(PATHS), st.builds(File, st.sampled_from([0o600, 0o644, 0o755]), st.sampled_from(["", "1\n", "é\n"]))
)


@pytest.fixture(scope="module", autouse=True)
def without_waiting_for_the_disk() -> Iterator[None]:
    """Make no call that only waits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "sync", lambda: None)
        yield


class PowerCutError(BaseException):
    """The machine is off; no handler of errors runs."""


@contextmanager
def power_cut(after: int) -> Iterator[None]:
    """Cut the power before the change of a name that comes after so many."""
    left = [after]
    kept = {name: getattr(os, name) for name in NAMES}

    def cut(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if not left[0]:
                raise PowerCutError
            left[0] -= 1
            return real(*arguments, **options)

        return call

    try:
        for name, real in kept.items():
            setattr(os, name, cut(real))
        yield
    finally:
        for name, real in kept.items():
            setattr(os, name, real)


def put(machine: Machine, files: dict[str, File]) -> None:
    for path, file in files.items():
        machine.write(path, file)


def found(machine: Machine) -> dict[str, File]:
    return {path: file for path in PATHS if (file := machine.file(path))}


def difference(old: dict[str, File], new: dict[str, File]) -> Changes:
    return changes({path: old.get(path) for path in PATHS}, new, old)


def with_power_cuts(old: dict[str, File], new: dict[str, File], first: int, second: int) -> bool:
    """Commit with a cut, and finish with another; return whether the commit ended before the first cut."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        put(machine, old)
        commit.stage(machine, difference(old, new))
        ended = False
        with suppress(PowerCutError), power_cut(first):
            commit.commit(machine)
            ended = True
        decided = not machine.place(commit.STAGE).exists()
        with suppress(PowerCutError), power_cut(second):
            commit.finish(machine)
        commit.finish(machine)
        assert found(machine) == (new if decided else old)
        assert not machine.place(commit.COMMIT).exists()
    return ended


@given(LISTS, LISTS, st.integers(0, 40), st.integers(0, 12))
def test_a_power_cut_leaves_all_old_files_or_all_new_ones(
    old: dict[str, File], new: dict[str, File], first: int, second: int
) -> None:
    with_power_cuts(old, new, first, second)


@pytest.mark.parametrize("second", range(6))
def test_a_power_cut_at_any_point_of_a_change_of_every_kind_does_so(second: int) -> None:
    old = {path: File(0o644, "old") for path in PATHS[:3]}
    new = {path: File(0o600, "new") for path in PATHS[1:]}
    cuts = next(cut for cut in range(1000) if with_power_cuts(old, new, cut, second))
    assert cuts > len(PATHS)


def test_what_was_staged_by_a_run_that_was_killed_is_in_no_later_commit(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    commit.stage(machine, {"/etc/stray": Change(None, File(0o644, "stray"))})
    commit.stage(machine, {"/etc/a b": Change(None, File(0o644, "new"))})
    commit.commit(machine)
    assert machine.read("/etc/a b") == "new"
    assert not machine.place("/etc/stray").exists()


def test_a_new_folder_can_be_read_by_others_whatever_the_mask(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    mask = os.umask(0o077)
    try:
        commit.stage(machine, {"/etc/new/folder/file": Change(None, File(0o644, "x"))})
        commit.commit(machine)
    finally:
        os.umask(mask)
    assert [machine.place(path).stat().st_mode & 0o777 for path in ("/etc/new", "/etc/new/folder")] == [0o755, 0o755]


def test_finish_names_what_a_commit_changed_so_that_systemd_can_be_told(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write("/etc/old", File(0o644, "old"))
    old = machine.file("/etc/old")
    commit.stage(machine, {"/etc/new": Change(None, File(0o644, "new")), "/etc/old": Change(old, None)})
    machine.place(commit.STAGE).rename(machine.place(commit.COMMIT))
    assert commit.finish(machine) == ["/etc/new", "/etc/old"]
    assert commit.finish(machine) == []


def test_a_file_on_another_file_system_is_refused_before_anything_is_staged_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, stat = Machine(tmp_path), Path.stat
    (tmp_path / "etc").mkdir()

    def other(path: Path, **options: Any) -> os.stat_result:
        found = stat(path, **options)
        if path == tmp_path / "etc":
            return os.stat_result((*found[:2], found.st_dev + 1, *found[3:]))
        return found

    monkeypatch.setattr(Path, "stat", other)
    with pytest.raises(ConfigureError, match="/etc/a b is on another file system than /var/lib/vpn-gateway/stage"):
        commit.stage(machine, {"/etc/a b": Change(None, File(0o644, "x"))})


def test_the_list_of_a_commit_has_no_text_of_a_file(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    commit.stage(machine, {"/etc/secret": Change(None, File(0o600, "a secret"))})
    listed = machine.place(f"{commit.STAGE}/list.json")
    assert json.loads(listed.read_text()) == {"files": ["/etc/secret"], "removed": []}
    assert machine.place(commit.staged("/etc/secret")).stat().st_mode & 0o777 == 0o600
