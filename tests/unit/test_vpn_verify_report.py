"""vpn-verify's report: what is skipped, which remedy is shown, and the lines for people; the layers are stand-ins."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import expectations
from tests.scenarios.diagnosis.answers import SCREEN_LINES, rows
from tests.unit.gateway_documents import gateway_document, installed_files
from vpn_verify import people, table, tunnel_layers
from vpn_verify.examine import Report, examine
from vpn_verify.layer import FinalError, LayerError, Ping

NAMES = [layer.name for layer in table.LAYERS]
BEYOND_CONNECTION = {"ike", "key", "policy", "ping", "mtu", "counters", "metrics"}
BEYOND_BOOT = set(NAMES) - {"boot", "clock", "conntrack", "address", "peer", "internet"}
FILES = installed_files(gateway_document())
EVIDENCE = (
    'the pre-shared keys differ, or else the identities ("uk-to-au" #7: IKE SA authentication request rejected by peer)'
)


@pytest.fixture
def gateway(tmp_path: Path) -> expectations.Gateway:
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
        ("packet_filter", {"ping", "mtu", "counters", "metrics"}),
        ("nat", set()),
        ("sysctl", set()),
        ("conntrack", {"internet", "metrics"}),
        ("secrets", {"daemon", "connection", "configuration"} | BEYOND_CONNECTION),
        ("daemon", {"connection", "configuration"} | BEYOND_CONNECTION),
        ("connection", BEYOND_CONNECTION),
        ("address", {"peer", "internet"} | BEYOND_CONNECTION),
        ("peer", BEYOND_CONNECTION),
        ("ike", BEYOND_CONNECTION - {"ike"}),
        ("key", set()),
        ("policy", {"ping", "mtu", "counters", "metrics"}),
        ("ping", {"mtu", "counters", "metrics"}),
        ("mtu", set()),
        ("counters", set()),
        ("internet", {"metrics"}),
        ("metrics", set()),
        ("updates", set()),
        ("configuration", set()),
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


def test_an_unexpected_error_fails_its_layer_alone_and_its_text_is_not_shown(gateway: expectations.Gateway) -> None:
    report = broken(gateway, {"secrets": ValueError("the line with the key")})
    (row,) = (row for row in report.layers if row.status == "failed")
    assert re.fullmatch(r"cannot be looked at: ValueError in test_vpn_verify_report\.py, line \d+", row.evidence)
    assert row.remedy == next(layer.remedy for layer in table.LAYERS if layer.name == "secrets")
    assert {each.name for each in report.layers if each.status == "skipped"} >= {"daemon", "connection"}


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


def without_addresses(gateway: expectations.Gateway) -> expectations.Gateway:
    return gateway._replace(peers=[peer._replace(private_ip="") for peer in gateway.peers])


def names(gateway: expectations.Gateway) -> list[str]:
    return [layer.name for layer in table.layers_of(gateway)]


def test_without_any_peers_address_the_layers_of_echoes_are_left_out(gateway: expectations.Gateway) -> None:
    known = names(gateway)
    assert [name for name in known if name not in names(without_addresses(gateway))] == ["ping", "mtu"]
    assert names(without_addresses(hub(gateway, 2))) == names(without_addresses(gateway))
    one, other = hub(gateway, 2).peers
    assert names(gateway._replace(peers=[one._replace(private_ip=""), other])) == known


def test_echoes_go_only_to_peers_whose_address_is_known_and_each_tunnel_has_its_counters(
    gateway: expectations.Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = hub(gateway, 2).peers
    hidden = other._replace(private_ip="")
    layers = [layer for layer in table.LAYERS if layer.name in {"ping", "mtu", "counters"}]
    monkeypatch.setattr(tunnel_layers, "ping", lambda name, _: Ping(f"ping {name}", (84, 84)))
    monkeypatch.setattr(tunnel_layers, "mtu", lambda ends, size: f"{size} to {ends[1]}")
    monkeypatch.setattr(tunnel_layers, "associations", lambda _, pairs: f"SAs of {', '.join(pairs)}")
    report = examine(layers, gateway._replace(peers=[one, hidden]), NOTHING)
    assert [row.evidence for row in report.layers] == [
        f"ping {one.connection}",
        f"1400 to {one.private_ip}",
        f"bytes in, out: [84, 84]; SAs of {hidden.connection}",
    ]
    (row,) = examine(layers[2:], gateway._replace(peers=[hidden]), NOTHING).layers
    assert (row.name, row.status, row.evidence) == ("counters", "ok", f"SAs of {hidden.connection}")


def test_people_read_what_failed_with_its_remedy_and_the_names_of_the_rest(gateway: expectations.Gateway) -> None:
    report = broken(gateway, {"nat": LayerError("no rule", "load it"), "ike": LayerError(EVIDENCE, "make both alike")})
    assert people.text(report).splitlines() == [
        "uk-gateway: NOT ok",
        "failed  nat           no rule",
        "                      -> load it",
        f"failed  ike           {EVIDENCE}",
        "                      -> make both alike",
        "skipped key, policy, ping, mtu, counters, metrics: they need what failed",
        "ok      boot, clock, packet_filter, sysctl, conntrack, secrets, daemon, connection, address, peer, internet, "
        "updates, configuration",
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
