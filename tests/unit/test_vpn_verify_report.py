"""vpn-verify as a whole: order and needs of the layers, the document, the lines for people, and how long it looks."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

import expectations
from tests.scenarios.diagnosis.answers import SCREEN_LINES, rows
from tests.unit.gateway_documents import gateway_document, installed_files
from tests.unit.test_vpn_verify_gateway_layers import DATE, NOW, WELL, loaded
from tests.unit.test_vpn_verify_parsers import ROUTES
from tests.unit.test_vpn_verify_tunnel_layers import UP
from vpn_verify import main, people, table, tunnel_layers
from vpn_verify.examine import Report, examine
from vpn_verify.layer import FinalError, LayerError, Ping
from vpn_verify.start import CONNTRACK, Start

NAMES = [layer.name for layer in table.LAYERS]
BEYOND_CONNECTION = {"ike", "policy", "ping", "mtu", "counters"}
BEYOND_BOOT = set(NAMES) - {"boot", "clock", "conntrack", "address", "peer", "internet"}
FILES = installed_files(gateway_document())
EVIDENCE = (
    'the pre-shared keys differ, or else the identities ("uk-to-au" #7: IKE SA authentication request rejected by peer)'
)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> expectations.Gateway:
    path = tmp_path / "gateway.json"
    path.write_text(FILES[expectations.PATH])
    return expectations.load(str(path))


def hub(gateway: expectations.Gateway, peers: int) -> expectations.Gateway:
    (one,) = gateway.peers
    more = [one._replace(connection=f"uk-to-{n}", public_ip=f"192.0.2.{n}") for n in range(1, peers)]
    return gateway._replace(peers=[one, *more])


NOTHING: Any = None
"""In place of what the layers of these tests do not use."""


def broken(gateway: expectations.Gateway, errors: Mapping[str, Exception]) -> Report:
    """Return the report of a gateway on which these layers fail and all others hold."""

    def look(name: str) -> Callable[[Any], Any]:
        def answer(_: Any) -> str:
            if name in errors:
                raise errors[name]
            return f"{name} is well"

        return answer

    return examine([layer._replace(look=look(layer.name)) for layer in table.LAYERS], gateway, NOTHING)


@pytest.mark.parametrize(
    ("name", "skipped"),
    [
        ("boot", BEYOND_BOOT),
        ("clock", set()),
        ("packet_filter", {"ping", "mtu", "counters"}),
        ("nat", set()),
        ("sysctl", set()),
        ("conntrack", {"internet"}),
        ("secrets", {"daemon", "connection"} | BEYOND_CONNECTION),
        ("daemon", {"connection"} | BEYOND_CONNECTION),
        ("connection", BEYOND_CONNECTION),
        ("address", {"peer", "internet"} | BEYOND_CONNECTION),
        ("peer", BEYOND_CONNECTION),
        ("ike", BEYOND_CONNECTION - {"ike"}),
        ("policy", {"ping", "mtu", "counters"}),
        ("ping", {"mtu", "counters"}),
        ("mtu", set()),
        ("counters", set()),
        ("internet", set()),
    ],
)
def test_what_needs_a_broken_layer_is_skipped_and_nothing_else(
    gateway: expectations.Gateway, name: str, skipped: set[str]
) -> None:
    report = broken(gateway, {name: LayerError("broken", "mend it")})
    assert [row.name for row in report.layers] == NAMES
    assert {row.name for row in report.layers if row.status == "skipped"} == skipped
    assert [row for row in report.layers if row.status == "failed"] == [(name, "failed", "broken", "mend it")]
    assert (report.ok, report.final) == (False, False)


def test_a_remedy_is_the_errors_own_or_the_tables(gateway: expectations.Gateway) -> None:
    remedies = {layer.name: layer.remedy for layer in table.LAYERS}
    for error in (LayerError("broken"), OSError("broken")):
        (row,) = (row for row in broken(gateway, {"nat": error}).layers if row.status == "failed")
        assert (row.evidence, row.remedy) == ("broken", remedies["nat"])


def test_what_waiting_cannot_mend_is_final(gateway: expectations.Gateway) -> None:
    assert broken(gateway, {"boot": FinalError("step packages failed")}).final


def test_the_failure_of_one_of_several_tunnels_names_it(gateway: expectations.Gateway) -> None:
    seen = list[str]()

    def ping(tunnel: table.TunnelLook) -> Ping:
        seen.append(tunnel.peer.connection)
        if tunnel.peer.connection == "uk-to-1":
            raise LayerError("packets are lost", "widen it")
        return Ping("3 of 3", (1, 1))

    (row,) = examine([table.TunnelLayer("ping", "", ping, "")], hub(gateway, 3), NOTHING).layers
    assert row == ("ping", "failed", "uk-to-1: packets are lost", "widen it")
    assert seen == ["uk-to-au", "uk-to-1"]


def test_a_layer_gets_what_the_layers_that_it_needs_saw_of_the_same_tunnel(gateway: expectations.Gateway) -> None:
    def ping(tunnel: table.TunnelLook) -> Ping:
        return Ping(tunnel.peer.connection, (1, 1))

    def counters(tunnel: table.TunnelLook) -> str:
        assert list(tunnel.needed) == ["ping"]
        return f"as {tunnel.needed['ping'].evidence}"

    layers = [
        table.TunnelLayer("mtu", "", lambda _: "1400 bytes", ""),
        table.TunnelLayer("ping", "", ping, ""),
        table.TunnelLayer("counters", "ping", counters, ""),
    ]
    evidence = [row.evidence for row in examine(layers, hub(gateway, 2), NOTHING).layers]
    assert evidence == ["1400 bytes", "uk-to-au; uk-to-1", "as uk-to-au; as uk-to-1"]


def test_people_read_what_failed_with_its_remedy_and_the_names_of_the_rest(gateway: expectations.Gateway) -> None:
    report = broken(gateway, {"nat": LayerError("no rule", "load it"), "ike": LayerError(EVIDENCE, "make both alike")})
    assert people.text(report).splitlines() == [
        "uk-gateway: NOT ok",
        "failed  nat           no rule",
        "                      -> load it",
        f"failed  ike           {EVIDENCE}",
        "                      -> make both alike",
        "skipped policy, ping, mtu, counters: they need what failed",
        "ok      boot, clock, packet_filter, sysctl, conntrack, secrets, daemon, connection, address, peer, internet",
    ]


def test_people_read_a_line_for_each_layer_that_holds_also_of_many_tunnels(gateway: expectations.Gateway) -> None:
    lines = people.text(broken(gateway, {})).splitlines()
    assert lines[:2] == ["uk-gateway: ok", "ok      boot          boot is well"]
    layers = [table.TunnelLayer("ike", "", lambda tunnel: f"IKEv2 with {tunnel.peer.public_ip}", "")]
    of_many = people.text(examine(layers, hub(gateway, 48), NOTHING)).splitlines()
    assert [len(line) for line in of_many] == [len("uk-gateway: ok"), 160]


@pytest.mark.parametrize("names", [[name] for name in NAMES] + [["nat", "sysctl", "conntrack", "peer"]])
def test_what_failed_leaves_half_a_screen_to_the_rest_of_a_red_up(
    gateway: expectations.Gateway, names: list[str]
) -> None:
    text = people.text(broken(gateway, dict.fromkeys(names, LayerError("x" * 200))))
    assert sum(1 + len(line) // 80 for line in text.splitlines()) <= SCREEN_LINES
    assert rows(text.splitlines()) <= SCREEN_LINES - 8


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
        }
        self.status = UP
        self.uid = 0
        self.now: Iterator[float] = iter(lambda: 0.0, None)

    def sleep(self, seconds: float) -> None:
        """Fail, until a test puts another one here."""
        pytest.fail(f"waits {seconds} s")

    def start(self, gateway: expectations.Gateway) -> Start:
        """Return results that have come."""
        probes = {peer.public_ip: {500: came("answers"), 4500: came("answers")} for peer in gateway.peers}
        return Start(came((DATE, "203.0.113.10")), came(None), came(loaded()), came("12"), came(self.status), probes)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, gateway: expectations.Gateway) -> Machine:
    """Give a machine under the real table; of the tunnel's layers those that call tools hold."""
    made = Machine()
    tools = {"pidof -x vpn-boot": "", "systemctl is-active ipsec": "activating"}
    for module in (table, main):
        monkeypatch.setattr(module, "read", lambda path: made.files.get(path, "").strip())
    monkeypatch.setattr(table, "run", tools.__getitem__)
    monkeypatch.setattr(table, "source", lambda _: "10.1.1.254")
    monkeypatch.setattr(table, "time", SimpleNamespace(time=lambda: NOW))
    for name, seen in {
        "secrets": "root's alone",
        "policy": "ESP",
        "ping": Ping("3 of 3", (84, 84)),
        "mtu": "1400 bytes",
    }.items():
        monkeypatch.setattr(tunnel_layers, name, lambda *_, seen=seen, **__: seen)
    monkeypatch.setattr(main, "load", lambda: gateway)
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
    assert document["layers"][-1] == {
        "name": "internet",
        "status": "ok",
        "evidence": "TCP to ssm.eu-west-2.amazonaws.com:443",
        "remedy": "",
    }
    assert printed.err == ""
    assert call(monkeypatch) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(NAMES)


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
            machine.status = UP

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
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any, text: str
) -> None:
    path = tmp_path / "gateway.json"
    path.write_text(text)
    monkeypatch.setattr(main, "load", lambda: expectations.load(str(path)))
    assert call(monkeypatch, "--json") == 2
    assert capsys.readouterr().err.startswith(f"{path} is not what the user data writes (")


def test_keys_that_an_older_vpn_verify_does_not_know_are_ignored(gateway: expectations.Gateway, tmp_path: Any) -> None:
    data = json.loads(FILES[expectations.PATH])
    path = tmp_path / "newer.json"
    path.write_text(json.dumps({**data, "new": 1, "peers": [{**peer, "new": 2} for peer in data["peers"]]}))
    assert expectations.load(str(path)) == gateway
