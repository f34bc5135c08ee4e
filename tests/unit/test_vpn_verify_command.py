"""vpn-verify as a command: the document, the exit code, and how long it looks, with the real table of layers."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import expectations
from tests.unit.gateway_documents import gateway_document, installed_files
from tests.unit.test_vpn_verify_gateway_layers import DATE, NOW, WELL, loaded
from tests.unit.test_vpn_verify_parsers import ROUTES
from tests.unit.test_vpn_verify_tunnel_layers import INSISTS
from vpn_verify import configuration, floor, main, table, tunnel_layers
from vpn_verify.layer import LayerError, Ping
from vpn_verify.start import CONNTRACK, Start, start

NAMES = [layer.name for layer in table.LAYERS if layer.name != "metrics"]
"""The layers of a gateway without `monitoring`."""
FILES = installed_files(gateway_document())


def load(text: str, folder: Path) -> expectations.Gateway:
    path = folder / "gateway.json"
    path.write_text(text)
    return expectations.load(str(path))


def came(value: Any) -> Future[Any]:
    future = Future[Any]()
    future.set_result(value)
    return future


class Machine:
    """A gateway on which all is well, until a test changes it."""

    def __init__(self) -> None:
        keys = [
            f"conf/{s}/{k}_redirects" for s in ("all", "default", "lo", "ens5") for k in ("accept", "secure", "send")
        ]
        self.files = {f"/proc/sys/net/ipv4/{key}": "0" for key in keys} | {
            **FILES,
            "/proc/sys/net/ipv4/ip_forward": "1",
            "/proc/net/route": ROUTES,
            f"{CONNTRACK}_max": "60160",
            "/var/lib/vpn-gateway/boot": "done",
            table.FINISHED: WELL,
            floor.RELEASE: 'ID=debian\nVERSION_ID="12"\n',
        }
        self.package = f"installed={floor.FLOORS['debian-12'].version}"
        self.written: dict[str, float] = {}
        """Path -> when the file was written."""
        self.status = INSISTS
        self.uid = 0
        self.now: Iterator[float] = iter(lambda: 0.0, None)

    def sleep(self, seconds: float) -> None:
        """Fail, until a test puts another one here."""
        pytest.fail(f"waits {seconds} s")

    def start(self, gateway: expectations.Gateway, *, own: bool = False) -> Start:
        """Return results that have come; with `own`, only those that are asked then."""
        if own:
            return start(gateway, own=True)._replace(
                rules=came(loaded()), connections=came("12"), status=came(self.status)
            )
        probes = {peer.public_ip: {500: came("answers"), 4500: came("answers")} for peer in gateway.peers}
        return Start(came((DATE, "203.0.113.10")), came(None), came(loaded()), came("12"), came(self.status), probes)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Give a machine under the real table; of the tunnel's layers those that call tools hold."""
    made = Machine()
    tools = {
        "pidof -x vpn-boot": "",
        "systemctl is-active ipsec": "activating",
        "vpn-updates --pending": "restart of ssh",
    }
    for module in (table, main):
        monkeypatch.setattr(module, "read", lambda path: made.files.get(path, "").strip())
    monkeypatch.setattr(table, "file", lambda path: (0o644, made.files[path]) if path in made.files else None)
    monkeypatch.setattr(table, "modified", lambda path: made.written.get(path, 0.0))
    monkeypatch.setattr(table, "run", lambda command: made.package if command == floor.PACKAGE else tools[command])
    monkeypatch.setattr(table, "older", lambda version, than: version != than)
    monkeypatch.setattr(table, "source", lambda _: "10.1.1.254")
    monkeypatch.setattr(table, "time", SimpleNamespace(time=lambda: NOW))
    for name, seen in {
        "secrets": "root's alone",
        "policy": "ESP",
        "ping": Ping("3 of 3", (84, 84)),
        "mtu": "1400 bytes",
    }.items():
        monkeypatch.setattr(tunnel_layers, name, lambda *_, seen=seen, **__: seen)
    monkeypatch.setattr(main, "load", lambda: load(FILES[expectations.PATH], tmp_path))
    monkeypatch.setattr(main, "start", made.start)
    monkeypatch.setattr(main, "os", SimpleNamespace(geteuid=lambda: made.uid))
    clock = SimpleNamespace(monotonic=lambda: next(made.now), sleep=lambda seconds: made.sleep(seconds))  # noqa: PLW0108 - tests replace it
    monkeypatch.setattr(main, "time", clock)
    return made


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["vpn-verify", *arguments])
    return main.main()


def test_every_layer_holds_on_a_gateway_on_which_all_is_well(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--json") == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert list(document) == ["ok", "gateway", "layers"]
    assert {layer["status"] for layer in document["layers"]} == {"ok"}
    assert [layer["name"] for layer in document["layers"]] == NAMES
    assert document["layers"][-3] == {
        "name": "internet",
        "status": "ok",
        "evidence": "TCP to ssm.eu-west-2.amazonaws.com:443",
        "remedy": "",
    }
    assert document["layers"][-2]["evidence"] == "Libreswan 4.10-2+deb12u1, floor 4.10-2+deb12u1"
    assert printed.err == ""
    assert call(monkeypatch) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(NAMES)


def test_a_change_by_hand_is_named_and_the_revision_that_must_be_deployed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    routes = "/etc/vpn-gateway/routes"
    deployed = [{"path": path, "mode": 0o644, "text": FILES[path]} for path in (routes, "/etc/ipsec.d/vpn.conf")]
    machine.files[configuration.DEPLOYED] = json.dumps({"revision": "r7", "files": deployed})
    assert call(monkeypatch, "--revision", "r7") == 0
    assert capsys.readouterr().out.splitlines()[-1].split(maxsplit=2) == [
        "ok",
        "configuration",
        "revision r7, 2 files, 1 connections",
    ]
    assert call(monkeypatch, "--json", "--wait", "600", "--revision", "r8") == 1
    assert "revision r7 is deployed, not r8" in capsys.readouterr().err
    machine.files[routes] += "192.0.2.0/24 mtu 1400\n"
    assert call(monkeypatch, "--wait", "600") == 1
    assert f"failed  configuration {routes} has another text than in revision r7" in capsys.readouterr().out


def test_a_remote_command_gets_a_document_and_when_red_lines_for_people(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.status = ""
    assert call(monkeypatch, "--json") == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert (report["ok"], report["gateway"]) == (False, "uk-gateway")
    assert printed.err.splitlines()[:2] == [
        "uk-gateway: NOT ok",
        "failed  daemon        ipsec.service is activating, pluto does not answer",
    ]


def test_waiting_ends_when_all_is_well(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.status = ""
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            machine.status = INSISTS

    monkeypatch.setattr(machine, "sleep", sleep)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert call(monkeypatch, "--wait", "60") == 0
    assert len(naps) == 3
    assert capsys.readouterr().err == "waiting: daemon: ipsec.service is activating, pluto does not answer\n"


def test_waiting_ends_at_once_when_the_boot_has_failed_for_good(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.files["/var/lib/vpn-gateway/boot"] = "failed vpn-secrets"
    assert call(monkeypatch, "--wait", "600") == 1
    assert "step vpn-secrets failed" in capsys.readouterr().out


def test_waiting_ends_at_the_deadline(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.status = ""
    machine.now = iter(range(0, 1000, 10))
    monkeypatch.setattr(machine, "sleep", lambda _: None)
    assert call(monkeypatch, "--wait", "30") == 1


def test_anyone_but_root_is_told_to_use_sudo(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.uid = 1000
    assert call(monkeypatch) == 2
    assert "sudo vpn-verify" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "{}", json.dumps({"peers": [{}]}), "[]"])
def test_without_expectations_it_cannot_look_and_says_why(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    monkeypatch.setattr(main, "load", lambda: load(text, tmp_path))
    assert call(monkeypatch, "--json") == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}/gateway.json is not what the user data writes (")


def test_a_libreswan_older_than_the_floor_fails_after_three_days_without_waiting_and_is_no_own_fault(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.package = "installed=4.10-2"
    machine.written[table.BOOT] = NOW - 3600
    assert call(monkeypatch) == 0
    assert "Libreswan 4.10-2 is older than 4.10-2+deb12u1, which has" in capsys.readouterr().out
    machine.written[table.BOOT] = NOW - 4 * 86400
    assert call(monkeypatch, "--wait", "600") == 1
    evidence, remedy = capsys.readouterr().out.splitlines()[1:3]
    assert evidence == (
        "failed  updates       Libreswan 4.10-2 is older than 4.10-2+deb12u1, which has the fixes of CVE-2022-23094, "
        "CVE-2023-23009, CVE-2023-30570"
    )
    assert remedy.strip() == f"-> {floor.REMEDY}"
    assert call(monkeypatch, "--own") == 0


OWN = [
    *("packet_filter", "nat", "sysctl", "conntrack"),
    *("secrets", "daemon", "connection", "configuration"),
]
"""The layers that look at the gateway alone."""


def test_with_own_exactly_the_layers_that_look_at_the_gateway_alone_are_asked(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--own", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in document["layers"]] == OWN
    assert document["ok"]
    machine.status = ""
    assert call(monkeypatch, "--own", "--json") == 1
    statuses = {layer["name"]: layer["status"] for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert statuses == dict.fromkeys(OWN, "ok") | {
        "daemon": "failed",
        "connection": "skipped",
        "configuration": "skipped",
    }


def test_with_own_a_hub_is_asked_for_each_tunnel_and_names_the_one_that_is_ill(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one = load(FILES[expectations.PATH], tmp_path)
    (au,) = one.peers
    us = au._replace(connection="uk-to-us", public_ip="192.0.2.3", private_ip="10.8.0.254", cidr_blocks="10.8.0.0/16")
    monkeypatch.setattr(main, "load", lambda: one._replace(peers=[au, us]))
    assert call(monkeypatch, "--own", "--json") == 1
    rows = {layer["name"]: layer for layer in json.loads(capsys.readouterr().out)["layers"]}
    assert [name for name, row in rows.items() if row["status"] != "ok"] == ["connection"]
    assert rows["connection"]["evidence"] == "uk-to-us is not loaded"
    machine.status += INSISTS.replace("uk-to-au", "uk-to-us")
    assert call(monkeypatch, "--own", "--json") == 0
    assert [layer["name"] for layer in json.loads(capsys.readouterr().out)["layers"]] == OWN


def test_a_layer_of_the_gateway_alone_needs_no_other_but_the_boot() -> None:
    assert {name for layer in table.LAYERS if layer.own for name in layer.needs.split()} <= {"boot", *OWN}


def test_a_boot_that_is_not_over_is_no_fault_of_the_gateway(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    del machine.files[table.FINISHED]
    assert call(monkeypatch) == 1
    assert call(monkeypatch, "--own") == 0


def test_with_own_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def send(*_: object) -> str:
        pytest.fail("something is sent")

    monkeypatch.setattr("vpn_verify.start.machine.date_and_public_address", send)
    monkeypatch.setattr("vpn_verify.start.machine.open_tcp", send)
    monkeypatch.setattr("vpn_verify.start.probe", send)
    monkeypatch.setattr("vpn_verify.start.machine.run", lambda _: "rules")
    monkeypatch.setattr("vpn_verify.start.machine.read", lambda _: "12")
    monkeypatch.setattr("vpn_verify.start.whack", lambda *_, **__: "status")
    begun = start(load(FILES[expectations.PATH], tmp_path), own=True)
    assert [begun.rules.result(), begun.connections.result(), begun.status.result()] == ["rules", "12", "status"]
    for unasked in (begun.metadata, begun.internet):
        with pytest.raises(LayerError, match="not asked with --own"):
            unasked.result()
    assert begun.probes == {}


def test_keys_that_an_older_vpn_verify_does_not_know_are_ignored(tmp_path: Path) -> None:
    data = json.loads(FILES[expectations.PATH])
    newer = {**data, "new": 1, "peers": [{**peer, "new": 2} for peer in data["peers"]]}
    assert load(json.dumps(newer), tmp_path) == load(FILES[expectations.PATH], tmp_path)
