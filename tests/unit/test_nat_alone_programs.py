"""The programs of a gateway without peers: vpn-verify's layers, and vpn-configure without Libreswan.

Does not prove that a machine runs them (tests/lab). Nothing to clean up.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import expectations
from components.decisions.files import File as UserDataFile
from components.user_data import update_files
from tests.unit.configured_gateway import booted
from tests.unit.gateway_documents import gateway_document
from tests.unit.test_nat_alone import alone
from tests.unit.test_vpn_verify_gateway_layers import DATE, NOW, WELL
from tests.unit.test_vpn_verify_parsers import ROUTES
from vpn_configure import boot
from vpn_configure.configure import configure, prepare_next
from vpn_configure.files import DEPLOYED, NEXT, File
from vpn_configure.machine import Done, Machine
from vpn_verify import configuration, table
from vpn_verify.examine import Report, examine
from vpn_verify.packet_filter import RULES
from vpn_verify.start import CONNTRACK, Start

FILES: Mapping[str, UserDataFile] = {file.path: file for file in alone().files}
LAYERS = (
    *("boot", "clock", "packet_filter", "nat", "sysctl", "conntrack"),
    *("address", "internet", "configuration"),
)
KEYS = [f"conf/{s}/{k}_redirects" for s in ("all", "default", "lo", "ens5") for k in ("accept", "secure", "send")]


def came(value: Any) -> Future[Any]:
    future = Future[Any]()
    future.set_result(value)
    return future


def failed(error: OSError) -> Future[Any]:
    future = Future[Any]()
    future.set_exception(error)
    return future


class Gateway:
    """A gateway without peers on which all is well, until a test changes it."""

    def __init__(self) -> None:
        self.files = {
            **{f"/proc/sys/net/ipv4/{key}": "0" for key in KEYS},
            **{path: file.text for path, file in FILES.items()},
            "/proc/sys/net/ipv4/ip_forward": "1",
            "/proc/net/route": ROUTES,
            f"{CONNTRACK}_max": "60160",
            boot.STATE: "done",
            table.FINISHED: WELL,
        }
        self.internet: Future[Any] = came(None)
        self.public: str | None = "203.0.113.10"
        self.own = "10.1.1.254"
        self.rules = loaded(FILES[RULES].text)

    def look(self, revision: str = "") -> Report:
        """Return what vpn-verify reports."""
        path = Path(self.files["folder"]) / "gateway.json"
        path.write_text(self.files[expectations.PATH])
        gateway = expectations.load(str(path))
        # No Libreswan, so whack does not answer.
        start = Start(came((DATE, self.public)), self.internet, came(self.rules), came("12"), came(""), {})
        return examine(table.layers_of(gateway), gateway, start, revision)


def loaded(rules: str) -> str:
    """Return iptables-save's view of a rules file, with the jumps that vpn-filter makes."""
    lines = list[str]()
    for line in rules.splitlines():
        lines.append(line)
        if line.startswith(":VPN-"):
            chain = line[5:].split()[0]
            lines += [f":{chain} ACCEPT [0:0]", f"-A {chain} -j VPN-{chain}"]
    return "\n".join(lines)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gateway:
    made = Gateway()
    made.files["folder"] = str(tmp_path)
    tools = {"pidof -x vpn-boot": ""}
    monkeypatch.setattr(table, "read", lambda path: made.files.get(path, "").strip())
    monkeypatch.setattr(table, "file", lambda path: (0o644, made.files[path]) if path in made.files else None)
    monkeypatch.setattr(table, "run", tools.__getitem__)
    monkeypatch.setattr(table, "source", lambda _: made.own)
    monkeypatch.setattr(table, "time", SimpleNamespace(time=lambda: NOW))
    return made


def test_each_layer_that_makes_sense_holds_and_no_other_is_reported(gateway: Gateway) -> None:
    report = gateway.look()
    assert report.ok
    assert tuple(row.name for row in report.layers) == LAYERS
    evidence = {row.name: row.evidence for row in report.layers}
    assert evidence["internet"] == "TCP to ssm.eu-west-2.amazonaws.com:443"
    assert evidence["address"] == "10.1.1.254 behind 203.0.113.10"
    assert (evidence["packet_filter"], evidence["nat"]) == ("17 rules", "2 rules")


def test_its_own_layers_are_those_that_send_nothing(gateway: Gateway, tmp_path: Path) -> None:
    gateway.look()
    read = expectations.load(str(tmp_path / "gateway.json"))
    assert [each.name for each in table.layers_of(read, own=True)] == [
        *("packet_filter", "nat", "sysctl", "conntrack", "configuration"),
    ]


def test_a_gateway_with_peers_has_all_layers_of_what_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gateway.json"
    path.write_text(next(file.text for file in gateway_document().files if file.path == expectations.PATH))
    gateway = expectations.load(str(path))
    left_out = [each.name for each in table.LAYERS if each not in table.layers_of(gateway)]
    assert left_out == ["metrics"]
    monkeypatch.setattr(table, "read", lambda _: "{}")
    assert table.layers_of(gateway) == [*table.LAYERS]


def test_with_a_window_it_looks_at_the_window_and_not_for_libreswan(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.files |= {file.path: file.text for file in update_files("02:00")}
    monkeypatch.setattr(table, "run", {"pidof -x vpn-boot": "", "vpn-updates --pending": ""}.__getitem__)
    monkeypatch.setattr(table, "modified", lambda _: NOW)
    (row,) = (row for row in gateway.look().layers if row.name == "updates")
    assert (row.status, row.evidence[:22]) == ("ok", "02:00 to 04:00 UTC, la")


def test_it_is_not_ok_when_it_does_not_reach_the_internet(gateway: Gateway) -> None:
    gateway.internet = failed(OSError("no route to host"))
    report = gateway.look()
    assert not report.ok
    (row,) = (row for row in report.layers if row.status != "ok")
    assert (row.name, row.status) == ("internet", "failed")
    assert row.evidence == "no TCP to ssm.eu-west-2.amazonaws.com:443: no route to host"


@pytest.mark.parametrize(
    ("own", "public", "evidence"),
    [
        ("10.1.1.254", "", "Elastic IP 203.0.113.10 is not associated with 10.1.1.254, which has none"),
        ("10.1.1.9", "203.0.113.10", "packets to 192.0.2.1 leave from 10.1.1.9, not 10.1.1.254"),
    ],
)
def test_another_address_than_its_elastic_ip_is_named_before_the_way_out(
    gateway: Gateway, own: str, public: str, evidence: str
) -> None:
    gateway.own, gateway.public = own, public
    rows = {row.name: row for row in gateway.look().layers}
    assert (rows["address"].status, rows["address"].evidence) == ("failed", evidence)
    assert rows["address"].remedy.startswith("associate the Elastic IP")
    assert rows["internet"].status == "skipped"


def test_a_masquerade_that_is_missing_is_named(gateway: Gateway) -> None:
    gateway.rules = gateway.rules.replace("-A VPN-POSTROUTING -s 10.1.0.0/16 -j MASQUERADE", "# gone")
    rows = {row.name: row for row in gateway.look().layers}
    assert rows["nat"].evidence == "nat POSTROUTING: no '-s 10.1.0.0/16 -j MASQUERADE'"


def test_its_revision_is_compared_without_an_ipsec_daemon(gateway: Gateway) -> None:
    deployed = [{"path": RULES, "mode": 0o644, "text": FILES[RULES].text}]
    gateway.files[configuration.DEPLOYED] = json.dumps({"revision": "r7", "files": deployed})
    assert gateway.look("r7").layers[-1][1:3] == ("ok", "revision r7, 1 files, 0 connections")
    assert gateway.look("r8").layers[-1].status == "failed"


class Configured:
    """A machine with the files of a gateway without peers, on which no program of Libreswan exists."""

    def __init__(self, root: Path) -> None:
        self.asked = list[str]()
        self.machine = Machine(root, self.run)
        for path, file in FILES.items():
            self.machine.write(path, File(file.mode, file.text))
        self.machine.write(boot.STATE, File(0o644, "done\n"))
        self.machine.place("/run").mkdir()

    def run(self, argv: Sequence[str], _seconds: float) -> Done:
        """Answer a command; systemd knows no unit without a file."""
        asked = " ".join(argv)
        self.asked.append(asked)
        if any(word in asked for word in ("/ipsec/", "ipsec ")):
            return Done(127, f"{argv[0]} does not exist")
        if asked.startswith("systemctl restart") and not self.machine.read(f"/etc/systemd/system/{argv[-1]}.service"):
            return Done(5, f"Unit {argv[-1]}.service not found.")
        return Done(0, "")

    def change(self, revision: str, **texts: str) -> list[str]:
        """Prepare and configure a list with these texts for the files of these names; return what was done."""
        changed = {path: next((texts[name] for name in texts if path.endswith(f"/{name}")), None) for path in FILES}
        files = [{"path": path, "mode": file.mode, "text": changed[path] or file.text} for path, file in FILES.items()]
        self.machine.write(NEXT, File(0o600, json.dumps({"revision": revision, "files": files})))
        prepare_next(self.machine, 0)
        self.asked.clear()
        configure(self.machine, 0, revision)
        return [each for each in self.asked if each.startswith("systemctl re")]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configured:
    # For the disk that is never waited for.
    booted(tmp_path / "other", monkeypatch)
    return Configured(tmp_path / "root")


def test_a_list_that_is_in_place_already_is_recorded_without_libreswan(configured: Configured) -> None:
    assert configured.change("r1") == []
    assert json.loads(configured.machine.read(DEPLOYED))["revision"] == "r1"


def test_another_range_is_put_in_place_and_nothing_of_libreswan_is_asked(configured: Configured) -> None:
    configured.change("r1")
    texts = {
        name: FILES[f"/etc/vpn-gateway/{name}"].text.replace("10.1.0.0/16", "10.1.0.0/16,10.9.0.0/16")
        for name in ("filter.rules", "gateway.json")
    }
    assert configured.change("r2", **texts) == ["systemctl reload-or-restart vpn-filter"]
    assert not [each for each in configured.asked if "ipsec" in each or "vpn-watch" in each]
    assert json.loads(configured.machine.read(DEPLOYED))["revision"] == "r2"
