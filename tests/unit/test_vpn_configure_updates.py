"""Runs of vpn-configure that bring, change and remove a window for updates."""

import json
from pathlib import Path

import pytest

from components.user_data import update_files
from tests.unit.configured_gateway import Gateway, booted, listed
from vpn_configure import boot
from vpn_configure.files import File
from vpn_configure.machine import Done

RELOAD = "systemctl daemon-reload"
STAMPS = "mkdir -p /var/lib/systemd/timers"
STAMPED = f"touch {' '.join(f'/var/lib/systemd/timers/stamp-apt-daily{each}.timer' for each in ('-upgrade', ''))}"
"""Without it, Debian's timers would make up for the runs that they have missed, on both sides at once."""
APT_TIMERS = "systemctl restart apt-daily-upgrade.timer apt-daily.timer"
CHECKED = ("apt-config",)


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return booted(tmp_path, monkeypatch)


def with_window(revision: str, window: str | None) -> str:
    document = json.loads(listed(revision))
    document["files"] += [vars(file) for file in update_files(window)]
    return json.dumps(document)


def test_a_window_comes_with_its_timers_and_restarts_nothing_else(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    lines = gateway.configure(with_window("r2", "02:00"))
    assert lines == [*(f"{file.path}: added" for file in update_files("02:00")), "revision r2"]
    assert gateway.did(*CHECKED) == [RELOAD, APT_TIMERS, "systemctl enable -q --now vpn-updates.timer"]


def test_another_window_restarts_the_timers_whose_times_change(gateway: Gateway) -> None:
    gateway.configure(with_window("r1", "02:00"))
    assert len(gateway.configure(with_window("r2", "22:00"))) == 5
    assert gateway.did(*CHECKED) == [RELOAD, f"{APT_TIMERS} vpn-updates.timer"]


def test_without_a_window_debians_timers_get_their_own_times_again(gateway: Gateway) -> None:
    gateway.configure(with_window("r1", "02:00"))
    gateway.configure(listed("r2"))
    assert gateway.did(*CHECKED) == [
        "systemctl stop vpn-updates.service",
        "systemctl stop vpn-updates.timer",
        "rm -f /etc/systemd/system/timers.target.wants/vpn-updates.timer",
        RELOAD,
        STAMPS,
        STAMPED,
        APT_TIMERS,
    ]
    assert not any(gateway.machine.place(file.path).exists() for file in update_files("02:00"))


def test_a_window_comes_while_the_first_boot_runs_and_waits_for_no_step(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    assert gateway.configure(with_window("r2", "02:00"))[-1] == "revision r2"
    assert gateway.did() == [RELOAD, APT_TIMERS, "systemctl enable -q --now vpn-updates.timer"]


def test_a_step_that_fails_while_the_first_boot_runs_is_taken_by_the_next_run(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    enable = "systemctl enable -q --now vpn-updates.timer"
    gateway.failing[enable] = Done(1, "out of memory")
    assert f"{enable} fails with 1" in gateway.refuse(with_window("r2", "02:00"))
    gateway.did()
    assert gateway.configure(with_window("r2", "02:00"))[-1] == "revision r2"
    assert gateway.did() == [RELOAD, APT_TIMERS, enable]


def test_timers_that_cannot_be_restarted_take_the_change_back(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    gateway.failing[APT_TIMERS] = Done(1, "Unit apt-daily.timer is masked.")
    said = gateway.refuse(with_window("r2", "02:00"))
    assert f"{APT_TIMERS} fails with 1: Unit apt-daily.timer is masked." in said
    assert "The change was taken back" in said
    assert gateway.did(*CHECKED) == [RELOAD, APT_TIMERS, RELOAD, STAMPS, STAMPED, APT_TIMERS]
    assert not any(gateway.machine.place(file.path).exists() for file in update_files("02:00"))


def test_apt_reads_the_staged_file_before_anything_changes(gateway: Gateway) -> None:
    gateway.refused["apt-config -c"] = Done(100, "E: Syntax error 90vpn-updates:1: Extra junk at end of file")
    said = gateway.refuse(with_window("r2", "02:00"))
    assert "/etc/apt/apt.conf.d/90vpn-updates: apt-config: E: Syntax error" in said
    assert gateway.did(*CHECKED) == []
