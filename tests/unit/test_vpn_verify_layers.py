"""vpn-verify's layers against a gateway made of files and canned tools: what is said when which layer breaks."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from components.tunnel import TunnelProfile
from tests.unit.gateway_documents import PSK, gateway_document, installed_files, with_networks
from tests.unit.test_vpn_verify_parsers import ROUTES
from userdata.gateway import vpn_verify

NAMES = [layer.__name__ for layer, _, _ in vpn_verify.LAYERS]
EXPECTED = gateway_document().peers[0]
UP = """\
000 "uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; erouted; eroute owner: #2
000 "uk-to-au":   IKEv2 algorithm newest: AES_GCM_16_256-HMAC_SHA2_512-DH20
000 "uk-to-au":   ESP algorithm newest: AES_GCM_16_256-NONE; pfsgroup=<Phase1>
000 Total IPsec connections: loaded 1, active 1
"""
WAITING = """\
000 "uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; prospective erouted; #0
000 Total IPsec connections: loaded 1, active 0
000 #7: "uk-to-au":500 STATE_V2_PARENT_I1 (sent IKE_SA_INIT request); RETRANSMIT in 1s; REPLACE in 9s; idle;
"""
KEYED = "src {} dst {}\n\tdir {} priority 1757392 ptype main\n\ttmpl src x dst y\n\t\tproto esp reqid 1 mode tunnel\n"


@dataclass
class Gateway:
    """A gateway on which all is well, until a test changes it."""

    document: Any = field(default_factory=gateway_document)
    files: dict[str, str] = field(default_factory=dict)
    tools: dict[str, Any] = field(default_factory=dict)
    mode: int = 0o100600
    uid: int = 0
    clock: Any = field(default_factory=lambda: SimpleNamespace(monotonic=lambda: 0.0, sleep=pytest.fail))

    def __post_init__(self) -> None:
        self.files |= installed_files(self.document)
        keys = [
            f"conf/{s}/{k}_redirects" for s in ("all", "default", "lo", "ens5") for k in ("accept", "secure", "send")
        ]
        self.files |= {f"/proc/sys/net/ipv4/{key}": "0" for key in keys} | {"/proc/sys/net/ipv4/ip_forward": "1"}
        self.files |= {
            "/proc/net/route": ROUTES,
            "/var/lib/vpn-gateway/boot": "done",
            "/run/cloud-init/result.json": '{"v1": {"datasource": "DataSourceEc2Local", "errors": []}}',
            "/etc/ipsec.d/uk-to-au.secrets": f'203.0.113.10 198.51.100.20 : PSK "{PSK}"',
        }
        counts = iter(range(0, 10**6, 84))
        self.tools |= {
            "iptables-save": self.loaded_rules(),
            "systemctl is-active ipsec": "active",
            "ipsec status": UP,
            "ipsec --version": "Libreswan 5.2",
            "ip xfrm policy": "".join(
                KEYED.format(*ends)
                for ends in (
                    ("10.1.0.0/16", "172.31.0.0/16", "out"),
                    ("172.31.0.0/16", "10.1.0.0/16", "in"),
                    ("172.31.0.0/16", "10.1.0.0/16", "fwd"),
                )
            ),
            "ipsec whack --trafficstatus": lambda: (
                f'006 #2: "uk-to-au", type=ESP, add_time=1, inBytes={(n := next(counts))}, outBytes={n}, id=x'
            ),
            "ping -nqc3 -i0.2 -w4 -I 10.1.1.254 172.31.12.198": "3 packets transmitted, 3 received\n\nrtt 340 ms",
            "journalctl -qu ipsec -n99 -ocat": '"uk-to-au" #7: authentication failed',
        }

    def loaded_rules(self) -> str:
        """Return iptables-save's view of the rules file, with the jumps that vpn-filter makes."""
        lines = []
        for line in self.files["/etc/vpn-gateway/filter.rules"].splitlines():
            lines.append(line)
            if line.startswith(":VPN-"):
                chain = line[5:].split()[0]
                lines += [f":{chain} ACCEPT [0:0]", f"-A {chain} -j VPN-{chain}"]
        return "\n".join(lines)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = Gateway()

    def run(command: str) -> str:
        answer: str | Callable[[], str] = made.tools[command]
        return answer() if callable(answer) else answer.strip()

    monkeypatch.setattr(vpn_verify, "read", lambda path: made.files.get(path, "").strip())
    monkeypatch.setattr(vpn_verify, "run", run)
    system = SimpleNamespace(stat=lambda _: SimpleNamespace(st_uid=0, st_mode=made.mode), geteuid=lambda: made.uid)
    monkeypatch.setattr(vpn_verify, "os", system)
    monkeypatch.setattr(vpn_verify, "time", made.clock)
    return made


def look(gateway: Gateway) -> tuple[dict[str, tuple[str, str]], bool]:
    report, final = vpn_verify.examine(json.loads(gateway.files["/etc/vpn-verify.json"]))
    assert [layer["name"] for layer in report["layers"]] == NAMES
    for layer in report["layers"]:
        assert bool(layer["remedy"]) == (layer["status"] == "failed")
        assert PSK not in json.dumps(layer)
    assert report["ok"] == all(layer["status"] == "ok" for layer in report["layers"])
    return {layer["name"]: (layer["status"], layer["evidence"]) for layer in report["layers"]}, final


def test_every_layer_holds_on_a_gateway_on_which_all_is_well(gateway: Gateway) -> None:
    found, _ = look(gateway)
    assert {status for status, _ in found.values()} == {"ok"}
    assert found["ike"][1] == "IKEv2 AES_GCM_16_256-HMAC_SHA2_512-DH20 with 198.51.100.20"
    assert found["counters"][1] == "bytes in, out: [84, 84]"
    assert found["sysctl"][1] == "13 keys, ens5"


BREAKS: dict[str, tuple[Callable[[Gateway], Any], str, str, set[str]]] = {
    "package mirror unreachable": (
        lambda g: g.files.update(
            {"/var/lib/vpn-gateway/boot": "failed packages", "/var/log/vpn-boot.log": "\nE: no mirror\n"}
        ),
        "boot",
        "step packages failed: ['E: no mirror']",
        set(NAMES) - {"boot"},
    ),
    "boot interrupted": (
        lambda g: g.files.update({"/var/lib/vpn-gateway/boot": "running packages"}),
        "boot",
        "step packages was interrupted",
        set(NAMES) - {"boot"},
    ),
    "boot running": (
        lambda g: g.files.update({"/var/lib/vpn-gateway/boot": "running packages", "/run/cloud-init/result.json": ""}),
        "boot",
        "running packages",
        set(NAMES) - {"boot"},
    ),
    "cloud-init failed": (
        lambda g: g.files.update({"/run/cloud-init/result.json": '{"v1": {"errors": ["write_files"]}}'}),
        "boot",
        "cloud-init: ['write_files']",
        set(NAMES) - {"boot"},
    ),
    "forwarding off": (
        lambda g: g.files.update({"/proc/sys/net/ipv4/ip_forward": "0"}),
        "sysctl",
        "net/ipv4/ip_forward is 0, not 1",
        set(),
    ),
    "redirects on the real interface": (
        lambda g: g.files.update({"/proc/sys/net/ipv4/conf/ens5/send_redirects": "1"}),
        "sysctl",
        "net/ipv4/conf/ens5/send_redirects is 1, not 0",
        set(),
    ),
    "exemption missing": (
        lambda g: g.tools.update(
            {
                "iptables-save": g.tools["iptables-save"].replace(
                    "-A VPN-POSTROUTING -s 10.1.0.0/16 -d 172.31.0.0/16 -j ACCEPT\n", ""
                )
            }
        ),
        "packet_filter",
        "nat POSTROUTING: no '-s 10.1.0.0/16 -d 172.31.0.0/16 -j ACCEPT'",
        {"ping", "counters"},
    ),
    "secret of nobody": (
        lambda g: g.files.update({"/etc/ipsec.d/uk-to-au.secrets": f'203.0.113.10 : PSK "{PSK}"'}),
        "secrets",
        "/etc/ipsec.d/uk-to-au.secrets has no key for 203.0.113.10 198.51.100.20",
        {"daemon", "connection", "ike", "policy", "ping", "counters"},
    ),
    "secret for all to read": (
        lambda g: setattr(g, "mode", 0o100644),
        "secrets",
        "/etc/ipsec.d/uk-to-au.secrets is uid 0's, mode 644; must be root's, 600",
        {"daemon", "connection", "ike", "policy", "ping", "counters"},
    ),
    "daemon stopped": (
        lambda g: g.tools.update({"systemctl is-active ipsec": "inactive", "ipsec status": ""}),
        "daemon",
        "ipsec.service is inactive, pluto does not answer",
        {"connection", "ike", "policy", "ping", "counters"},
    ),
    "connection deleted": (
        lambda g: g.tools.update({"ipsec status": "Total IPsec connections: loaded 0, active 0"}),
        "connection",
        "uk-to-au is not loaded",
        {"ike", "policy", "ping", "counters"},
    ),
    "peer silent": (
        lambda g: g.tools.update({"ipsec status": WAITING}),
        "ike",
        "no IKE SA with 198.51.100.20: STATE_V2_PARENT_I1 (sent IKE_SA_INIT request);"
        " log: ['\"uk-to-au\" #7: authentication failed']",
        {"policy", "ping", "counters"},
    ),
    "silently IKEv1": (
        lambda g: g.tools.update({"ipsec status": UP.replace("IKEv2", "IKEv1")}),
        "ike",
        f"IKEv1 AES_GCM_16_256-HMAC_SHA2_512-DH20, not IKEv2 {EXPECTED.ike_algorithm}",
        {"policy", "ping", "counters"},
    ),
    "another ESP": (
        lambda g: g.tools.update({"ipsec status": UP.replace("AES_GCM_16_256-NONE", "AES_CBC_128-HMAC_SHA1_96")}),
        "policy",
        f"ESP AES_CBC_128-HMAC_SHA1_96, not {EXPECTED.esp_algorithm}",
        {"ping", "counters"},
    ),
    "trap only": (
        lambda g: g.tools.update({"ip xfrm policy": KEYED.format("10.1.0.0/16", "172.31.0.0/16", "out")}),
        "policy",
        "none for 172.31.0.0/16 10.1.0.0/16 fwd",
        {"ping", "counters"},
    ),
    "nothing comes back": (
        lambda g: g.tools.update(
            {"ping -nqc3 -i0.2 -w4 -I 10.1.1.254 172.31.12.198": "3 packets transmitted, 0 received"}
        ),
        "ping",
        "172.31.12.198 is silent; bytes in, out: [84, 84]",
        {"counters"},
    ),
    "another path": (
        lambda g: g.tools.update({"ipsec whack --trafficstatus": '#2: "uk-to-au", inBytes=5, outBytes=5'}),
        "counters",
        "bytes in, out: [0, 0]",
        set(),
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_broken_layer_is_named_and_what_needs_it_is_skipped(gateway: Gateway, name: str) -> None:
    break_it, layer, evidence, skipped = BREAKS[name]
    break_it(gateway)
    found, final = look(gateway)
    assert found[layer] == ("failed", evidence)
    assert {other for other, (status, _) in found.items() if status == "skipped"} == skipped
    assert {other for other, (status, _) in found.items() if status == "failed"} == {layer}
    assert final == (layer == "boot" and name != "boot running")


def test_the_articles_profile_is_verified_as_ikev1(gateway: Gateway) -> None:
    document = gateway_document(profile=TunnelProfile.ARTICLE_2014)
    gateway.files |= installed_files(document)
    assert look(gateway)[0]["ike"][0] == "failed"
    gateway.tools["ipsec status"] = (
        UP.replace("IKEv2", "IKEv1")
        .replace("AES_GCM_16_256-HMAC_SHA2_512-DH20", "AES_CBC_256-HMAC_SHA1-MODP2048")
        .replace("AES_GCM_16_256-NONE", "AES_CBC_256-HMAC_SHA1_96")
    )
    assert {status for status, _ in look(gateway)[0].values()} == {"ok"}


def test_each_pair_of_networks_needs_its_policies(gateway: Gateway) -> None:
    document = with_networks(gateway_document(), local=("10.1.0.0/16",), remote=("172.31.0.0/16", "172.30.0.0/16"))
    gateway.files |= installed_files(document)
    gateway.tools["iptables-save"] = gateway.loaded_rules()
    assert look(gateway)[0]["policy"] == ("failed", "none for 10.1.0.0/16 172.30.0.0/16 out")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["vpn-verify", *arguments])
    return vpn_verify.main()


def test_json_is_one_document_and_the_exit_code_says_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    gateway.tools["systemctl is-active ipsec"] = "failed"
    assert call(monkeypatch, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["gateway"]) == (False, "uk-gateway")


def test_people_read_a_line_for_each_layer_and_the_remedy(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.tools["systemctl is-active ipsec"] = "failed"
    call(monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "uk-gateway: NOT ok"
    assert "failed  daemon        ipsec.service is failed" in lines
    assert lines[lines.index("failed  daemon        ipsec.service is failed") + 1].strip().startswith("-> journalctl")
    assert len(lines) == 1 + len(NAMES) + 1


def test_waiting_ends_when_all_is_well(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.tools["systemctl is-active ipsec"] = "activating"
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            gateway.tools["systemctl is-active ipsec"] = "active"

    gateway.clock.sleep = sleep
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert call(monkeypatch, "--wait", "60") == 0
    assert len(naps) == 3
    assert capsys.readouterr().err == "waiting: daemon: ipsec.service is activating\n"


def test_a_remote_command_gets_a_document_and_when_red_one_screen_for_people(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--json") == 0
    assert capsys.readouterr().err == ""
    log = [f'"uk-to-au" #7: STATE_V2_PARENT_I1: retransmission; will wait {n} seconds for response' for n in range(99)]
    gateway.tools |= {"ipsec status": WAITING, "journalctl -qu ipsec -n99 -ocat": "\n".join(log)}
    gateway.clock.sleep = lambda _: None
    clock = iter(range(0, 1000, 10))
    gateway.clock.monotonic = lambda: float(next(clock))
    assert call(monkeypatch, "--json", "--wait", "600") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["ok"] is False
    lines = printed.err.splitlines()
    (failed,) = [n for n, line in enumerate(lines) if line.startswith("failed")]
    assert lines[failed].startswith("failed  ike           no IKE SA with 198.51.100.20: STATE_V2_PARENT_I1 (sent")
    assert lines[failed].endswith("will wait 98 seconds for response']")
    assert "-> is the peer up, UDP 500 and 4500 open both ways" in lines[failed + 1]
    assert sum(1 + len(line) // 80 for line in lines) <= 24


def test_waiting_ends_at_once_when_the_boot_has_failed_for_good(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.files["/var/lib/vpn-gateway/boot"] = "failed vpn-secrets"
    assert call(monkeypatch, "--wait", "600") == 1
    assert "step vpn-secrets failed" in capsys.readouterr().out


def test_steps_run_again_by_hand_mend_the_boot_but_not_what_else_failed(gateway: Gateway) -> None:
    ours = "('scripts_user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))"
    gateway.files["/run/cloud-init/result.json"] = json.dumps({"v1": {"errors": [ours]}})
    assert look(gateway)[0]["boot"][0] == "ok"
    gateway.files["/run/cloud-init/result.json"] = json.dumps({"v1": {"errors": [ours, "('write_files', ...)"]}})
    assert look(gateway)[0]["boot"][0] == "failed"


def test_waiting_ends_at_the_deadline(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.tools["systemctl is-active ipsec"] = "inactive"
    clock = iter(range(0, 1000, 10))
    gateway.clock.monotonic = lambda: float(next(clock))
    gateway.clock.sleep = lambda _: None
    assert call(monkeypatch, "--wait", "30") == 1


def test_anyone_but_root_is_told_to_use_sudo(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.uid = 1000
    assert call(monkeypatch) == 2
    assert "sudo vpn-verify" in capsys.readouterr().err
