"""vpn-configure as a command: who may run it, its exit codes, and that only one runs."""

import fcntl
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import ipsec_conf
from tests.unit.configured_gateway import AT, ROUTES, Gateway, booted, listed
from vpn_configure import lock, main, steps
from vpn_configure.files import DESIRED, UNFINISHED, Change, File


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = booted(tmp_path, monkeypatch)
    monkeypatch.setattr(main, "Machine", lambda: made.machine)
    monkeypatch.setattr(main, "signal", SimpleNamespace(signal=lambda *_: None, SIGHUP=1, SIG_IGN=1))
    monkeypatch.setattr(main, "os", SimpleNamespace(geteuid=lambda: 0, umask=lambda _: 0))
    monkeypatch.setattr(sys, "argv", ["vpn-configure", "--wait", "0"])
    return made


def test_a_success_prints_what_changed_and_the_revision(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.machine.write(DESIRED, File(0o600, listed("r1", routes=ROUTES)))
    assert main.main() == 0
    assert capsys.readouterr().out.splitlines() == [f"{AT['routes']}: changed", "revision r1"]


def test_a_failure_prints_its_reason(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.machine.write(DESIRED, File(0o600, listed("r1", gateway="{")))
    assert main.main() == 1
    assert capsys.readouterr().err.startswith("vpn-configure: refused, and nothing has changed:\n")


@pytest.mark.parametrize(("text", "code"), [(ROUTES, 0), ("", 1)])
def test_a_run_that_has_ended_leaves_nothing_for_the_next_boot(gateway: Gateway, text: str, code: int) -> None:
    gateway.machine.write(UNFINISHED, File(0o600, ""))
    gateway.machine.write(DESIRED, File(0o600, listed("r1", routes=text) if text else "{"))
    assert main.main() == code
    assert not gateway.machine.place(UNFINISHED).exists()


def test_a_run_that_another_one_keeps_waiting_leaves_that_ones_mark(gateway: Gateway) -> None:
    gateway.machine.write(UNFINISHED, File(0o600, ""))
    gateway.machine.write(DESIRED, File(0o600, listed("r1")))
    with gateway.machine.place(lock.LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert main.main() == 1
    assert gateway.machine.place(UNFINISHED).exists()


def test_without_a_desired_list_it_cannot_run(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main() == 2
    assert capsys.readouterr().err == f"{DESIRED} does not exist: pulumi up writes it\n"


def test_anyone_but_root_is_told_to_use_sudo(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "os", SimpleNamespace(geteuid=lambda: 1000))
    assert main.main() == 2
    assert capsys.readouterr().err == "needs root: sudo vpn-configure\n"


def test_a_second_run_waits_for_the_first_and_then_says_so(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.machine.write(DESIRED, File(0o600, listed("r1")))
    with gateway.machine.place(lock.LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        assert main.main() == 1
    assert "another vpn-configure has held /run/vpn-configure.lock for 0 s" in capsys.readouterr().err
    assert main.main() == 0


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (AT["secrets"], []),
        (AT["program"], []),
        ("/etc/systemd/system/ipsec.service.d/vpn.conf", ["units"]),
        ("/etc/systemd/system/vpn-secrets.service", ["units"]),
        ("/etc/systemd/system/vpn-filter.service", ["units", "filter"]),
        (AT["filter"], ["filter"]),
        (AT["rules"], ["filter"]),
        (AT["sysctl"], ["units", "routes"]),
        (AT["routes"], ["routes"]),
        (AT["sshd"], ["sshd"]),
        ("/etc/systemd/networkd.conf.d/vpn-gateway.conf", []),
        ("/usr/local/sbin/vpn-boot", []),
        (AT["gateway"], ["watch"]),
        (AT["healing"], ["watch"]),
        (AT["watch"], ["units", "watch"]),
    ],
)
def test_a_changed_file_reloads_what_reads_it_and_always_looks_at_the_connections(path: str, names: list[str]) -> None:
    planned = [step.name for step in steps.plan({path: Change(File(0o644, "old"), File(0o644, "new"))})]
    assert planned == sorted([*names, "connections"], key=ORDER.index)


def test_the_watch_restarts_before_pluto_if_pluto_has_to() -> None:
    setups = (
        File(0o644, f"config setup\n  ikev1-policy={policy}\nconn a\n  auto=add\n") for policy in ("drop", "accept")
    )
    old, new = setups
    planned = steps.plan({AT["healing"]: Change(None, old), ipsec_conf.PATH: Change(old, new)})
    assert [step.name for step in planned] == ["watch", "connections"]
    assert planned[0].commands == [["systemctl", "restart", "vpn-watch"], ["sleep", "3"]]


ORDER = ["units", "filter", "routes", "sshd", "connections", "watch"]


def test_the_secrets_of_a_peer_that_is_gone_are_removed_at_the_end() -> None:
    old, new = (File(0o600, json.dumps({"connections": dict.fromkeys(names, "")})) for names in (["a", "b"], ["a"]))
    planned = steps.plan({AT["secrets"]: Change(old, new)})
    assert planned[-1] == steps.Step("forget", [["rm", "-f", "/etc/ipsec.d/b.secrets"]])
