"""Runs of vpn-configure while the first boot runs, and after it has failed."""

import time
from pathlib import Path

import pytest

from tests.unit.configured_gateway import AT, KEY, ROUTES, RULES, Gateway, booted, listed
from vpn_configure import boot
from vpn_configure.files import File
from vpn_configure.machine import Done


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return booted(tmp_path, monkeypatch)


def test_while_the_first_boot_runs_the_same_list_is_recorded_and_pluto_left_alone(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    gateway.pluto = None
    assert gateway.configure(listed("r1")) == ["revision r1"]
    assert (gateway.deployed, gateway.did()) == ("r1", [])


def test_while_the_first_boot_runs_another_list_waits_and_names_the_step(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    assert "the first boot has not ended after 0 s: packages" in gateway.refuse(listed("r2", routes=ROUTES))
    assert gateway.text("routes") != ROUTES


def test_a_boot_that_ends_meanwhile_is_followed_by_the_change(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    monkeypatch.setattr(time, "sleep", lambda _: gateway.machine.write(boot.STATE, File(0o644, "done\n")))
    assert gateway.configure(listed("r2", routes=ROUTES), wait=60)[-1] == "revision r2"


def test_a_boot_that_failed_is_taken_again_with_the_new_files_also_without_the_tools(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "failed vpn-filter\n"))
    gateway.refused["iptables-restore"] = Done(127, "iptables-restore does not exist")
    gateway.react["systemd-run"] = lambda: gateway.machine.write(boot.STATE, File(0o644, "done\n"))
    assert gateway.configure(listed("r2", rules=RULES)) == [
        "/etc/vpn-gateway/filter.rules: changed",
        "revision r2",
    ]
    assert gateway.did() == [
        "systemctl daemon-reload",
        "systemd-run --wait --collect -q --unit=vpn-boot-again /usr/local/sbin/vpn-boot",
    ]
    assert gateway.text("rules") == RULES


def test_a_boot_that_fails_again_is_reported_with_its_step_and_the_end_of_its_log(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "failed packages\n"))
    gateway.machine.write(boot.LOG, File(0o644, "no mirror\n"))
    gateway.refused["systemd-run"] = Done(1, "")
    said = gateway.refuse(listed("r2", routes=ROUTES))
    assert "step packages" in said
    assert "no mirror" in said
    assert gateway.deployed == ""


def test_a_boot_that_was_interrupted_counts_as_failed(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    gateway.refused["pidof"] = Done(1, "")
    assert boot.boot(gateway.machine) == ("failed", "packages")
    gateway.machine.place(boot.STATE).unlink()
    assert boot.boot(gateway.machine) == ("running", "before its first step")
    gateway.machine.write(boot.CLOUD_INIT, File(0o644, "{}"))
    assert boot.boot(gateway.machine).word == "failed"


def test_a_boot_that_ends_between_two_looks_is_not_taken_for_an_interrupted_one(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running ipsec\n"))
    gateway.react["pidof"] = lambda: gateway.machine.write(boot.STATE, File(0o644, "done\n"))
    gateway.refused["pidof"] = Done(1, "")
    assert boot.boot(gateway.machine).word == "done"


@pytest.mark.parametrize("state", ["running packages", "failed packages"])
def test_the_file_that_every_fresh_machine_lacks_is_put_in_place_without_the_boots_end(
    gateway: Gateway, state: str
) -> None:
    gateway.machine.write(boot.STATE, File(0o644, f"{state}\n"))
    gateway.pluto = None
    assert gateway.configure(listed("r1", key=KEY)) == [f"{AT['key']}: added", "revision r1"]
    assert (gateway.text("key"), gateway.deployed, gateway.did()) == (KEY, "r1", [])
    assert gateway.machine.read(boot.STATE) == f"{state}\n"


def test_a_pluto_that_the_boot_has_started_is_told_of_that_connection_alone(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running vpn-watch\n"))
    gateway.pluto = {}
    gateway.configure(listed("r1", key=KEY))
    assert gateway.did() == [f"addconn --config {AT['key']} key/uk-to-au"]
    gateway.configure(listed("r2"))
    assert gateway.did() == ["whack --delete --name key/uk-to-au"]
    assert gateway.machine.file(AT["key"]) is None


def test_that_file_waits_for_the_boots_end_together_with_others(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    said = gateway.refuse(listed("r2", routes=ROUTES, key=KEY))
    assert "the first boot has not ended after 0 s: packages" in said
    assert gateway.machine.file(AT["key"]) is None
