"""Records of machines: finding one by its name or id, and the progress of its boot."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lab import machines, processes, settings
from lab.machines import overview, record
from lab.machines.record import Machine

ID = "i-0123456789abcdef0"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "RUN", tmp_path / "run")
    monkeypatch.setattr(settings, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(processes, "_RECORDS", tmp_path / "run/processes")


@pytest.fixture
def saved() -> Callable[..., Machine]:
    def save(instance_id: str = ID, name: str = "uk-gateway") -> Machine:
        machine = Machine(id=instance_id, name=name, kind="virtual-machine", namespace="lab-vpc-1")
        machine.save()
        return machine

    return save


def test_a_machine_is_found_by_name_and_by_id(saved: Callable[..., Machine]) -> None:
    machine = saved()
    assert record.find("uk-gateway") == record.find(ID) == machine


def test_an_unknown_machine_is_refused_with_the_existing_ones(saved: Callable[..., Machine]) -> None:
    saved()
    with pytest.raises(LookupError, match="there is no machine 'au-gateway'; there are: uk-gateway"):
        record.find("au-gateway")


def test_a_name_that_two_machines_share_is_refused_with_their_ids(saved: Callable[..., Machine]) -> None:
    saved("i-1")
    saved("i-2")
    with pytest.raises(LookupError, match="2 machines are called 'uk-gateway'; name one by its id: i-1, i-2"):
        record.find("uk-gateway")


def test_a_command_on_a_stopped_machine_is_refused(saved: Callable[..., Machine]) -> None:
    saved()
    with pytest.raises(LookupError, match="is not running; its log is "):
        machines.execute("uk-gateway", ["true"])


def test_a_change_is_saved(saved: Callable[..., Machine]) -> None:
    changed = saved().with_changes(reboots=2)
    assert record.load(ID) == changed
    assert changed.reboots == 2


def test_a_name_with_slashes_keeps_its_console_log_in_the_log_directory(saved: Callable[..., Machine]) -> None:
    assert saved(name="../../etc/x").console.parent == settings.LOGS / "machines"


def test_a_stopped_machine_has_a_status(saved: Callable[..., Machine]) -> None:
    saved()
    (status,) = machines.status()
    assert (status.name, status.state, status.pid) == ("uk-gateway", "stopped", None)


@pytest.mark.parametrize(
    ("console", "phase"),
    [
        (b"", "starting"),
        (b"[    0.0] Linux version 6.12\n", "kernel"),
        (b"Welcome to Debian GNU/Linux 13!\n", "systemd"),
        (b"[   30.1] cloud-init[250]: Cloud-init v. 25.1.4 running 'init' at Mon\n", "cloud-init: network"),
        (
            b"cloud-init[250]: Cloud-init v. 25.1.4 running 'init' at Mon\n"
            b"cloud-init[260]: Cloud-init v. 25.1.4 finished at Mon, 23 Nov 2026 04:00:00 +0000. Datasource "
            b"DataSourceEc2Local.  Up 61.23 seconds\n",
            "booted in 61 s",
        ),
    ],
)
def test_the_console_log_shows_the_progress_of_a_boot(console: bytes, phase: str) -> None:
    assert overview.boot_phase(console) == phase


def test_removing_no_machines_is_no_error() -> None:
    assert machines.teardown.remove() == []


def test_machines_of_a_crashed_lab_are_removed(saved: Callable[..., Machine], tmp_path: Path) -> None:
    machine = saved()
    processes.start(machine.process_name, ["sleep", "600"], log=tmp_path / "log")
    process = machine.process
    assert process is not None
    assert machines.teardown.remove() == [f"machine machine-{ID}", "disks of machines"]
    assert not process.is_running()
    assert not record.directory().exists()
