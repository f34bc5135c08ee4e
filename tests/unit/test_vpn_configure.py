"""Runs of vpn-configure on a temporary root: what changes, and what is reloaded."""

from pathlib import Path

import pytest

from tests.unit.configured_gateway import (
    AT,
    CONF,
    FILES,
    KEY,
    OTHER,
    ROUTES,
    SECRET,
    TWO,
    Gateway,
    booted,
    key_text,
    listed,
)
from tests.unit.gateway_documents import PSK
from vpn_configure import pluto
from vpn_configure.files import DEPLOYED, File
from vpn_configure.machine import Done


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return booted(tmp_path, monkeypatch)


def test_a_list_that_is_in_place_already_is_recorded_and_nothing_is_reloaded(gateway: Gateway) -> None:
    assert gateway.configure(listed("r1")) == ["revision r1"]
    assert (gateway.deployed, gateway.did()) == ("r1", [])
    assert gateway.machine.place(DEPLOYED).stat().st_mode & 0o777 == 0o600


def test_another_range_adds_its_route_and_its_connection_and_touches_no_other(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    assert gateway.configure(listed("r2", routes=ROUTES, conf=TWO)) == [
        "/etc/vpn-gateway/routes: changed",
        "/etc/ipsec.d/vpn.conf: changed",
        f"connection {OTHER}: added",
        "revision r2",
    ]
    assert gateway.did() == [
        "systemctl restart vpn-sysctl",
        f"addconn --config /etc/ipsec.d/vpn.conf {OTHER}",
        f"whack --route --name {OTHER}",
    ]
    assert gateway.pluto == {"uk-to-au": True, OTHER: True}
    assert gateway.configure(listed("r3")) == [
        "/etc/vpn-gateway/routes: changed",
        "/etc/ipsec.d/vpn.conf: changed",
        f"connection {OTHER}: deleted",
        "revision r3",
    ]
    assert gateway.did() == [
        "systemctl restart vpn-sysctl",
        "ip -4 route flush table main exact 10.20.0.0/16",
        f"whack --delete --name {OTHER}",
    ]


def test_a_file_that_is_no_longer_desired_is_removed_but_none_that_was_never_deployed(gateway: Gateway) -> None:
    gateway.machine.write("/etc/vpn-gateway/by-hand", File(0o644, "x"))
    gateway.configure(listed("r1"))
    unit = FILES["/etc/systemd/system/vpn-watch.service"].path
    assert gateway.configure(listed("r2", watch=None)) == [f"{unit}: removed", "revision r2"]
    assert not gateway.machine.place(unit).exists()
    assert gateway.machine.read("/etc/vpn-gateway/by-hand") == "x"
    assert (
        gateway.did()
        == [
            "systemctl stop vpn-watch.service",
            "rm -f /etc/systemd/system/multi-user.target.wants/vpn-watch.service",
            "systemctl daemon-reload",
            "systemctl restart vpn-watch",
        ][:3]
    )


def test_a_file_of_another_mode_is_repaired_and_so_is_one_that_was_deleted(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    secrets, watch = "/etc/vpn-gateway/secrets.json", "/usr/local/lib/vpn-gateway/healing.py"
    gateway.machine.place(secrets).chmod(0o644)
    gateway.machine.place(watch).unlink()
    assert sorted(gateway.configure(listed("r1"))) == [secrets + ": changed", watch + ": added", "revision r1"]
    assert gateway.machine.place(secrets).stat().st_mode & 0o777 == 0o600
    assert gateway.did() == ["vpn-secrets", "systemctl restart vpn-watch"]


def test_a_connection_that_somebody_deleted_is_added_without_a_difference_of_files(gateway: Gateway) -> None:
    gateway.pluto = {"by-hand": True}
    assert gateway.configure(listed("r1")) == ["connection uk-to-au: added", "revision r1"]
    assert gateway.pluto == {"uk-to-au": True, "by-hand": True}


def test_a_pluto_that_does_not_run_is_started(gateway: Gateway) -> None:
    gateway.pluto = None
    assert gateway.configure(listed("r1")) == ["ipsec: restarted, because pluto did not answer", "revision r1"]


def test_another_config_setup_restarts_pluto(gateway: Gateway) -> None:
    conf = CONF.replace("ikev1-policy=drop", "ikev1-policy=accept")
    assert "ipsec: restarted, because config setup changed" in gateway.configure(listed("r2", conf=conf))
    assert gateway.did() == ["systemctl restart ipsec"]


def test_a_changed_tunnel_that_the_peer_starts_is_routed_after_that(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pluto, "PEER_SECONDS", 60)
    started = iter([None, None, None, True])

    def peer() -> None:
        if gateway.pluto and next(started, None):
            gateway.pluto["uk-to-au"] = True

    gateway.react["whack --status"] = peer
    gateway.configure(listed("r2", conf=CONF.replace("dh20+dh19", "dh20")))
    assert [each for each in gateway.asked if each.startswith("whack")][-3:] == [
        "whack --status",
        "whack --route --name uk-to-au",
        "whack --status",
    ]


def test_a_changed_tunnel_that_the_peer_does_not_start_in_time_is_started_here(gateway: Gateway) -> None:
    gateway.configure(listed("r2", conf=CONF.replace("dh20+dh19", "dh20")))
    assert gateway.did()[-2:] == [
        "whack --route --name uk-to-au",
        "whack --initiate --asynchronous --name uk-to-au",
    ]


def test_a_rotated_secret_is_read_by_pluto_before_the_connections_change(gateway: Gateway) -> None:
    secrets = FILES["/etc/vpn-gateway/secrets.json"].text.replace("psk:1", "psk:2")
    gateway.react["vpn-secrets"] = gateway.bring_key
    gateway.configure(listed("r2", secrets=secrets, conf=TWO))
    asked = [each for each in gateway.asked if each.startswith(("vpn-secrets", "whack --reread", "addconn --config"))]
    assert asked[:2] == ["vpn-secrets", "whack --rereadsecrets"]
    assert asked[2].startswith("addconn --config ")
    assert gateway.machine.file(SECRET) == File(0o600, "rotated")


def test_pluto_reads_its_keys_in_every_run_because_an_earlier_one_may_have_been_killed_before_that(
    gateway: Gateway,
) -> None:
    gateway.configure(listed("r1"))
    gateway.asked.clear()
    gateway.configure(listed("r1"))
    assert "whack --rereadsecrets" in gateway.asked


def test_a_damaged_list_is_refused_without_showing_it(gateway: Gateway) -> None:
    said = gateway.refuse(listed("r1")[:-5] + PSK)
    assert said == "/var/lib/vpn-gateway/desired.json is not a list of files (JSONDecodeError): pulumi up writes it"


def test_a_damaged_record_removes_nothing_and_is_written_again(gateway: Gateway) -> None:
    gateway.machine.write(DEPLOYED, File(0o600, "{"))
    assert gateway.configure(listed("r1")) == ["revision r1"]
    assert gateway.deployed == "r1"


def test_interrupted_commits_and_changes_are_finished_at_boot_from_the_first_run_on(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    units = "vpn-commit.service vpn-configure.service"
    assert f"systemctl enable -q --no-reload {units}" in gateway.asked
    gateway.refused["systemctl enable"] = Done(1, "no such unit")
    assert gateway.refuse(listed("r1")) == f"systemctl enable {units} fails with 1: no such unit"


def test_the_connection_that_proves_the_key_is_loaded_changed_repaired_and_deleted_beside_the_tunnels(
    gateway: Gateway,
) -> None:
    name, add = "key/uk-to-au", f"addconn --config {AT['key']} key/uk-to-au"
    gateway.configure(listed("r1"))
    assert gateway.configure(listed("r2", key=KEY))[1:] == [f"connection {name}: added", "revision r2"]
    assert gateway.did() == [add]
    assert gateway.pluto == {"uk-to-au": True, name: False}
    assert gateway.configure(listed("r2", key=KEY)) == ["revision r2"]
    gateway.pluto.pop(name)
    assert gateway.configure(listed("r2", key=KEY)) == [f"connection {name}: added", "revision r2"]
    gateway.configure(listed("r3", key=key_text("203.0.113.11")))
    assert gateway.did() == [f"whack --delete --name {name}", add]
    gateway.configure(listed("r4"))
    assert gateway.did() == [f"whack --delete --name {name}"]
    assert gateway.pluto == {"uk-to-au": True}


def test_somebody_elses_connection_of_that_name_stays_where_none_proves_the_key(gateway: Gateway) -> None:
    gateway.pluto = {"uk-to-au": True, "key/of-mine": True}
    assert gateway.configure(listed("r1")) == ["revision r1"]
    assert gateway.did() == []


def test_both_files_are_loaded_when_pluto_starts_again(gateway: Gateway) -> None:
    gateway.pluto = None
    gateway.configure(listed("r1", key=KEY))
    assert gateway.did() == ["systemctl restart ipsec"]
    assert gateway.pluto == {"uk-to-au": True, "key/uk-to-au": False}
