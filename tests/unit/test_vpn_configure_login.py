"""Runs of vpn-configure that bring and change the list of the keys that log in."""

import json
import os
from pathlib import Path

import pytest

from components.user_data import login_files
from tests.unit.configured_gateway import AT, ROUTES, Gateway, booted, listed
from tests.unit.gateway_documents import AUTHORIZED_KEYS, OTHER_PUBLIC_KEY, PUBLIC_KEY
from vpn_configure import boot
from vpn_configure.files import File
from vpn_configure.machine import Done

RELOAD = "systemctl reload ssh"
CHECKED = "ssh-keygen -l -f"


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return booted(tmp_path, monkeypatch)


def with_keys(revision: str, *keys: str) -> str:
    document = json.loads(listed(revision))
    document["files"] += [vars(file) for file in login_files(keys)]
    return json.dumps(document)


def test_the_list_comes_with_the_setting_that_makes_sshd_read_it(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    lines = gateway.configure(with_keys("r2", PUBLIC_KEY))
    assert lines == [*(f"{file.path}: added" for file in login_files([PUBLIC_KEY])), "revision r2"]
    assert gateway.did(CHECKED) == [RELOAD]


def test_another_key_counts_at_the_next_login_without_a_reload(gateway: Gateway) -> None:
    gateway.configure(with_keys("r1", PUBLIC_KEY))
    assert gateway.configure(with_keys("r2", OTHER_PUBLIC_KEY)) == [f"{AUTHORIZED_KEYS}: changed", "revision r2"]
    assert gateway.did(CHECKED) == []
    assert gateway.machine.read(AUTHORIZED_KEYS) == f"{OTHER_PUBLIC_KEY}\n"


def test_a_list_without_any_key_is_refused_because_nobody_could_log_in(gateway: Gateway) -> None:
    gateway.configure(with_keys("r1", PUBLIC_KEY))
    gateway.refused[CHECKED] = Done(255, "is not a public key file")
    assert f"{AUTHORIZED_KEYS}: ssh-keygen: is not a public key file" in gateway.refuse(with_keys("r2"))
    assert gateway.machine.read(AUTHORIZED_KEYS) == f"{PUBLIC_KEY}\n"


def test_the_list_comes_while_the_first_boot_runs_and_before_sshd_reads_it(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    there = list[str]()
    gateway.react[RELOAD] = lambda: there.append(gateway.machine.read(AUTHORIZED_KEYS))
    assert gateway.configure(with_keys("r2", PUBLIC_KEY))[-1] == "revision r2"
    assert gateway.did() == [RELOAD]
    assert there == [f"{PUBLIC_KEY}\n"]


@pytest.mark.parametrize("state", ["done", "running packages"])
def test_sshd_which_reads_the_list_as_the_user_may_enter_its_folder(gateway: Gateway, state: str) -> None:
    gateway.configure(listed("r1"))
    gateway.machine.write(boot.STATE, File(0o644, f"{state}\n"))
    mask = os.umask(0o077)
    try:
        gateway.configure(with_keys("r2", PUBLIC_KEY))
    finally:
        os.umask(mask)
    place = gateway.machine.place(AUTHORIZED_KEYS)
    assert [each.stat().st_mode & 0o777 for each in (place.parent, place)] == [0o755, 0o644]


def test_the_boot_that_is_taken_again_lets_sshd_read_the_list(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    gateway.machine.write(boot.STATE, File(0o644, "failed packages\n"))
    document = json.loads(with_keys("r2", PUBLIC_KEY))
    (routes,) = [each for each in document["files"] if each["path"] == AT["routes"]]
    routes["text"] = ROUTES
    gateway.react["systemd-run"] = lambda: gateway.machine.write(boot.STATE, File(0o644, "done\n"))
    gateway.configure(json.dumps(document))
    assert RELOAD in gateway.did()
