"""How vpn-metrics counts the layers of vpn-verify that fail. A shell script stands in for vpn-verify."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest

from vpn_metrics import layers


def _program(folder: Path, script: str) -> Path:
    """Return a stand-in for vpn-verify that runs a shell script."""
    path = folder / "vpn-verify"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def _document(*statuses: str) -> str:
    return json.dumps({"ok": False, "gateway": "uk-gateway", "layers": [{"status": each} for each in statuses]})


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give a folder for vpn-verify and for the lock of vpn-configure; neither is there."""
    monkeypatch.setattr(layers, "VERIFY", (str(tmp_path / "vpn-verify"), *layers.VERIFY[1:]))
    monkeypatch.setattr(layers, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(layers, "PACKAGES", str(tmp_path / "lock-frontend"))
    return tmp_path


def test_vpn_verify_is_asked_for_the_gateway_alone_and_the_layers_that_fail_are_counted(verify: Path) -> None:
    printed = _document("ok", "failed", "skipped", "failed", "ok")
    _program(verify, f"echo \"$@\" >{verify}/arguments; echo '{printed}'; echo for people >&2; exit 1")
    assert layers.failed() == 2
    assert (verify / "arguments").read_text(encoding="utf-8") == "--own --json --wait 4\n"
    _program(verify, f"echo '{_document('ok')}'")
    assert layers.failed() == 0


@pytest.mark.parametrize(
    "script",
    ["echo usage: vpn-verify >&2; exit 2", "echo '['", "echo []", "echo '{}'", """echo '{"layers": [{}]}'"""],
    ids=["an older one", "cut off", "a list", "no layers", "no status"],
)
def test_what_vpn_verify_prints_is_no_number_unless_it_is_its_document(verify: Path, script: str) -> None:
    _program(verify, script)
    assert layers.failed() is None


def test_a_gateway_without_vpn_verify_has_no_number(verify: Path) -> None:
    assert layers.failed() is None


def test_a_vpn_verify_that_hangs_is_given_up(verify: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "SECONDS", 0.2)
    _program(verify, f"echo '{_document('ok')}'; exec sleep 60")
    assert layers.failed() is None


def test_while_vpn_configure_changes_the_gateway_there_is_no_number(verify: Path) -> None:
    lock = verify / "lock"
    _program(verify, f"echo '{_document('failed')}'")
    with lock.open("w", encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert layers.failed() is None
    assert layers.failed() == 1
    # The change begins during the look.
    begin = f"flock {lock} sleep 2 >/dev/null 2>&1 & while flock --nonblock {lock} true; do :; done"
    _program(verify, f"{begin}; echo '{_document('failed')}'")
    assert layers.failed() is None


def test_while_packages_are_installed_there_is_no_number(verify: Path) -> None:
    _program(verify, f"echo '{_document('failed')}'")
    lock = verify / "lock-frontend"
    lock.touch()
    assert layers.failed() == 1
    # A process has no conflict with its own locks of this kind.
    hold = (
        f"import fcntl; file = open({str(lock)!r}, 'w'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        found = layers.failed()
        other.kill()
    assert found is None


def test_a_look_does_not_hold_up_vpn_configure(verify: Path) -> None:
    (verify / "lock").touch()
    _program(verify, f"flock --nonblock {verify}/lock true && echo '{_document('failed')}'")
    assert layers.failed() == 1
