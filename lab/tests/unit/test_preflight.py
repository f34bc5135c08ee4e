"""The checks before the lab starts: each problem separately, and all at once."""

import os
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from lab import preflight, processes, settings

Memory = namedtuple("Memory", "available")
Disk = namedtuple("Disk", "free")


@pytest.fixture(autouse=True)
def suitable_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_RECORDS", tmp_path)
    monkeypatch.setattr(settings, "API_PORT", 0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(available=8 * 1024**3))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=50 * 1024**3))


def test_a_suitable_machine_passes() -> None:
    preflight.check()


def test_a_user_who_is_not_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(preflight.PreflightError, match="needs root"):
        preflight.check()


def test_a_busy_port_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        monkeypatch.setattr(settings, "API_PORT", port)
        with pytest.raises(preflight.PreflightError, match=f"port {port} .* LAB_API_PORT"):
            preflight.check()


def test_all_problems_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "nft" else f"/usr/bin/{tool}")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(available=1024**3))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=1024**3))
    with pytest.raises(preflight.PreflightError) as error:
        preflight.check()
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "'nft' is missing" in lines[0]
    assert "3 GiB of free memory, there are 1.0" in lines[1]
    assert "6 GiB of disk" in lines[2]
