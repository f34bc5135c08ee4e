"""vpn-verify's layers against a gateway made of files and canned tools: what is said when which layer breaks."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import vpn_verify

from components.decisions.tunnel import TunnelProfile
from tests.unit.gateway_documents import PSK, gateway_document, installed_files, with_networks
from tests.unit.test_vpn_verify_parsers import ROUTES

NAMES = [layer.__name__ for layer, _, _ in vpn_verify.LAYERS]
EXPECTED = gateway_document().connections[0].profile
UP = """\
000 "uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; erouted; eroute owner: #2
000 "uk-to-au":   IKEv2 algorithm newest: AES_GCM_16_256-HMAC_SHA2_512-DH20
000 "uk-to-au":   ESP algorithm newest: AES_GCM_16_256-NONE; pfsgroup=<Phase1>
000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10, audit-log=yes
000 Total IPsec connections: loaded 1, active 1
"""
WAITING = """\
000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10, audit-log=yes
000 "uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; prospective erouted; #0
000 Total IPsec connections: loaded 1, active 0
000 #7: "uk-to-au":500 STATE_V2_PARENT_I1 (sent IKE_SA_INIT request); RETRANSMIT in 1s; REPLACE in 9s; idle;
"""
DATE = "Mon, 23 Nov 2026 22:38:44 GMT"
NOW = 1795473524
JOURNAL = '"uk-to-au" #7: IKE SA authentication request rejected by peer: AUTHENTICATION_FAILED'
BEYOND_CONNECTION = {"ike", "policy", "ping", "mtu", "counters"}
STATUS, TRAFFIC = f"{vpn_verify.WHACK} --status", f"{vpn_verify.WHACK} --trafficstatus"
KEYED = "src {} dst {}\n\tdir {} priority 1757392 ptype main\n\ttmpl src x dst y\n\t\tproto esp reqid 1 mode tunnel\n"


@dataclass
class Gateway:
    """A gateway on which all is well, until a test changes it."""

    document: Any = field(default_factory=gateway_document)
    files: dict[str, str] = field(default_factory=dict)
    tools: dict[str, Any] = field(default_factory=dict)
    mode: int = 0o100600
    uid: int = 0
    source: str = "10.1.1.254"
    metadata: tuple[str, str | None] = (DATE, "203.0.113.10")
    ports: dict[int, str] = field(default_factory=lambda: {500: "answers", 4500: "answers"})
    passes: int = 1500
    """Largest packet, bytes, that comes through the tunnel and back."""
    internet: OSError | None = None
    clock: Any = field(
        default_factory=lambda: SimpleNamespace(
            monotonic=lambda: 0.0, sleep=pytest.fail, time=lambda: NOW, strptime=time.strptime
        )
    )

    def __post_init__(self) -> None:
        self.files |= installed_files(self.document)
        keys = [
            f"conf/{s}/{k}_redirects" for s in ("all", "default", "lo", "ens5") for k in ("accept", "secure", "send")
        ]
        self.files |= {f"/proc/sys/net/ipv4/{key}": "0" for key in keys} | {"/proc/sys/net/ipv4/ip_forward": "1"}
        self.files |= {
            "/proc/net/route": ROUTES,
            f"{vpn_verify.CONNTRACK}_count": "12\n",
            f"{vpn_verify.CONNTRACK}_max": "60160\n",
            "/var/lib/vpn-gateway/boot": "done",
            "/run/cloud-init/result.json": '{"v1": {"datasource": "DataSourceEc2Local", "errors": []}}',
            "/etc/ipsec.d/uk-to-au.secrets": f'203.0.113.10 198.51.100.20 : PSK "{PSK}"',
        }
        counts = iter(range(0, 10**6, 84))
        self.tools |= {
            "iptables-save": self.loaded_rules(),
            "systemctl is-active ipsec": "active",
            "pidof -x vpn-boot": "",
            STATUS: UP,
            "ip xfrm policy": "".join(
                KEYED.format(*ends)
                for ends in (
                    ("10.1.0.0/16", "172.31.0.0/16", "out"),
                    ("172.31.0.0/16", "10.1.0.0/16", "in"),
                    ("172.31.0.0/16", "10.1.0.0/16", "fwd"),
                )
            ),
            TRAFFIC: lambda: (
                f'006 #2: "uk-to-au", type=ESP, add_time=1, inBytes={(n := next(counts))}, outBytes={n}, id=x'
            ),
            vpn_verify.JOURNAL: JOURNAL,
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
    monkeypatch.setattr(vpn_verify, "begin", lambda call, *given: SimpleNamespace(result=lambda: call(*given)))
    monkeypatch.setattr(vpn_verify, "metadata", lambda: made.metadata)
    monkeypatch.setattr(vpn_verify, "source", lambda _: made.source)
    monkeypatch.setattr(vpn_verify, "probe", lambda *asked: made.ports[asked[1]])
    monkeypatch.setattr(vpn_verify, "echoes", lambda *ends, **_: [size for size in ends[2] if size <= made.passes])

    def open_tcp(host: str, port: int) -> None:
        assert (host, port) == ("ssm.eu-west-2.amazonaws.com", 443)
        if made.internet:
            raise made.internet

    monkeypatch.setattr(vpn_verify, "open_tcp", open_tcp)
    system = SimpleNamespace(stat=lambda _: SimpleNamespace(st_uid=0, st_mode=made.mode), geteuid=lambda: made.uid)
    monkeypatch.setattr(vpn_verify, "os", system)
    monkeypatch.setattr(vpn_verify, "time", made.clock)
    return made


def look(gateway: Gateway) -> tuple[dict[str, tuple[str, str]], bool]:
    report, final = vpn_verify.examine(json.loads(gateway.files["/etc/vpn-gateway/gateway.json"]))
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
    assert found["conntrack"][1] == "12 of 60160 connections"


def without(text: str) -> Callable[[Gateway], Any]:
    """Take text out of the loaded rules."""
    return lambda g: g.tools.update({"iptables-save": g.tools["iptables-save"].replace(text, "")})


def exempt_last(g: Gateway) -> None:
    """Put the exemption behind the rule that it is to exempt from."""
    for text in EXEMPTION, MASQUERADE:
        without(text)(g)
    head, _, rest = g.tools["iptables-save"].partition("*nat\n")
    own, _, tail = rest.partition("COMMIT")
    g.tools["iptables-save"] = f"{head}*nat\n{own}{MASQUERADE}{EXEMPTION}COMMIT{tail}"


EXEMPTION = "-A VPN-POSTROUTING -d 172.31.0.0/16 -j ACCEPT\n"
MASQUERADE = "-A VPN-POSTROUTING -s 10.1.0.0/16 -j MASQUERADE\n"
BOOT = {"boot", "clock", "conntrack", "address", "peer", "internet"}
"""What does not need the boot to be over."""


def full(g: Gateway, count: int, **more: str) -> None:
    """Have so many connections of 60160."""
    g.files |= {f"{vpn_verify.CONNTRACK}_count": str(count), **more}


TRACKED = """\
ipv4     2 tcp      6 7439 ESTABLISHED src=10.1.10.41 dst=192.0.2.80 sport=1024 dport=80 src=192.0.2.80 dst=10.1.1.254
ipv4     2 udp      17 119 src=10.1.10.7 dst=192.0.2.53 sport=5353 dport=53 [UNREPLIED] src=192.0.2.53 dst=10.1.1.254
ipv4     2 tcp      6 7439 ESTABLISHED src=10.1.10.41 dst=192.0.2.80 sport=1025 dport=80 src=192.0.2.80 dst=10.1.1.254
"""


def no_sa(g: Gateway, journal: str = JOURNAL) -> None:
    g.tools |= {STATUS: WAITING, vpn_verify.JOURNAL: journal}
    g.clock.sleep = lambda _: None


BREAKS: dict[str, tuple[Callable[[Gateway], Any], str, str, set[str]]] = {
    "package mirror unreachable": (
        lambda g: g.files.update(
            {"/var/lib/vpn-gateway/boot": "failed packages", "/var/log/vpn-boot.log": "\nE: no mirror\n"}
        ),
        "boot",
        "step packages failed: ['E: no mirror']",
        set(NAMES) - BOOT,
    ),
    "boot interrupted": (
        lambda g: g.files.update({"/var/lib/vpn-gateway/boot": "running packages"}),
        "boot",
        "step packages was interrupted",
        set(NAMES) - BOOT,
    ),
    "boot running": (
        lambda g: g.files.update({"/var/lib/vpn-gateway/boot": "running packages", "/run/cloud-init/result.json": ""}),
        "boot",
        "running packages",
        set(NAMES) - BOOT,
    ),
    "cloud-init failed": (
        lambda g: g.files.update({"/run/cloud-init/result.json": '{"v1": {"errors": ["write_files"]}}'}),
        "boot",
        "cloud-init: ['write_files']",
        set(NAMES) - BOOT,
    ),
    "clock five years ahead": (
        lambda g: setattr(g.clock, "time", lambda: NOW + 5 * 365 * 86400),
        "clock",
        f"157680000 s ahead of the metadata service's {DATE}",
        set(),
    ),
    "clock six minutes behind": (
        lambda g: setattr(g.clock, "time", lambda: NOW - 360),
        "clock",
        f"360 s behind the metadata service's {DATE}",
        set(),
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
        without(EXEMPTION),
        "nat",
        "nat POSTROUTING: no '-d 172.31.0.0/16 -j ACCEPT'",
        set(),
    ),
    "exemption after masquerade": (
        exempt_last,
        "nat",
        "nat POSTROUTING: '-d 172.31.0.0/16 -j ACCEPT' comes after '-s 10.1.0.0/16 -j MASQUERADE'",
        set(),
    ),
    "leak drop missing": (
        without("-A VPN-OUTPUT -d 172.31.0.0/16 -m policy --dir out --pol none -j DROP\n"),
        "packet_filter",
        "filter OUTPUT: no '-d 172.31.0.0/16 -m policy --dir out --pol none -j DROP'",
        {"ping", "mtu", "counters"},
    ),
    "segments not clamped": (
        without("-A FORWARD -j VPN-FORWARD\n"),
        "packet_filter",
        "filter FORWARD: no '-j VPN-FORWARD'",
        {"ping", "mtu", "counters"},
    ),
    "tunnel tracked": (
        without("-A VPN-PREROUTING -s 172.31.0.0/16 -j CT --notrack\n"),
        "packet_filter",
        "raw PREROUTING: no '-s 172.31.0.0/16 -j CT --notrack'",
        {"ping", "mtu", "counters"},
    ),
    "no room for another connection": (
        lambda g: full(g, 60160, **{"/proc/net/nf_conntrack": TRACKED}),
        "conntrack",
        "the table is full: 60160 of 60160 connections, 2 of them from 10.1.10.41",
        {"internet"},
    ),
    "hardly room for another connection": (
        lambda g: full(g, 57152),
        "conntrack",
        "the table is full: 57152 of 60160 connections",
        {"internet"},
    ),
    "secret of nobody": (
        lambda g: g.files.update({"/etc/ipsec.d/uk-to-au.secrets": f'203.0.113.10 : PSK "{PSK}"'}),
        "secrets",
        "/etc/ipsec.d/uk-to-au.secrets has no key for 203.0.113.10 198.51.100.20",
        {"daemon", "connection"} | BEYOND_CONNECTION,
    ),
    "secret for all to read": (
        lambda g: setattr(g, "mode", 0o100644),
        "secrets",
        "/etc/ipsec.d/uk-to-au.secrets is uid 0's, mode 644; must be root's, 600",
        {"daemon", "connection"} | BEYOND_CONNECTION,
    ),
    "daemon stopped": (
        lambda g: g.tools.update({"systemctl is-active ipsec": "inactive", STATUS: ""}),
        "daemon",
        "ipsec.service is inactive, pluto does not answer",
        {"connection"} | BEYOND_CONNECTION,
    ),
    "connection deleted": (
        lambda g: g.tools.update({STATUS: "pluto_version=5.2, x"}),
        "connection",
        "uk-to-au is not loaded",
        BEYOND_CONNECTION,
    ),
    "another address on the interface": (
        lambda g: setattr(g, "source", "10.1.1.7"),
        "address",
        "packets to 198.51.100.20 leave from 10.1.1.7, not 10.1.1.254",
        {"peer", "internet"} | BEYOND_CONNECTION,
    ),
    "no Elastic IP": (
        lambda g: setattr(g, "metadata", (DATE, "")),
        "address",
        "Elastic IP 203.0.113.10 is not associated with 10.1.1.254, which has none",
        {"peer", "internet"} | BEYOND_CONNECTION,
    ),
    "another public address": (
        lambda g: setattr(g, "metadata", (DATE, "192.0.2.7")),
        "address",
        "Elastic IP 203.0.113.10 is not associated with 10.1.1.254, which has 192.0.2.7",
        {"peer", "internet"} | BEYOND_CONNECTION,
    ),
    "peer stopped": (
        lambda g: g.ports.update({500: "silent", 4500: "silent"}),
        "peer",
        "198.51.100.20: UDP 500 and 4500 are silent",
        BEYOND_CONNECTION,
    ),
    "peer without UDP 4500": (
        lambda g: g.ports.update({4500: "silent"}),
        "peer",
        "198.51.100.20: UDP 4500 is silent, the other port answers",
        BEYOND_CONNECTION,
    ),
    "peer without UDP 500": (
        lambda g: g.ports.update({500: "silent"}),
        "peer",
        "198.51.100.20: UDP 500 is silent, the other port answers",
        BEYOND_CONNECTION,
    ),
    "peer without daemon": (
        lambda g: g.ports.update({500: "refused", 4500: "refused"}),
        "peer",
        "198.51.100.20 refused: no IKE daemon there",
        BEYOND_CONNECTION,
    ),
    "keys differ": (
        no_sa,
        "ike",
        f"the pre-shared keys differ, or else the identities ({JOURNAL})",
        BEYOND_CONNECTION - {"ike"},
    ),
    "nothing in the log": (
        lambda g: no_sa(g, ""),
        "ike",
        "no IKE SA with 198.51.100.20: STATE_V2_PARENT_I1 (sent IKE_SA_INIT request)",
        BEYOND_CONNECTION - {"ike"},
    ),
    "silently IKEv1": (
        lambda g: g.tools.update({STATUS: UP.replace("IKEv2", "IKEv1")}),
        "ike",
        f"IKEv1 AES_GCM_16_256-HMAC_SHA2_512-DH20, not IKEv2 {EXPECTED.ike_algorithm}",
        BEYOND_CONNECTION - {"ike"},
    ),
    "another ESP": (
        lambda g: g.tools.update({STATUS: UP.replace("AES_GCM_16_256-NONE", "AES_CBC_128-HMAC_SHA1_96")}),
        "policy",
        f"ESP AES_CBC_128-HMAC_SHA1_96, not {EXPECTED.esp_algorithm}",
        {"ping", "mtu", "counters"},
    ),
    "networks differ": (
        lambda g: g.tools.update(
            {"ip xfrm policy": "", vpn_verify.JOURNAL: '"uk-to-au" #2: IKE_AUTH response rejected: TS_UNACCEPTABLE'}
        ),
        "policy",
        'the networks differ ("uk-to-au" #2: IKE_AUTH response rejected: TS_UNACCEPTABLE)',
        {"ping", "mtu", "counters"},
    ),
    "trap only": (
        lambda g: g.tools.update({"ip xfrm policy": KEYED.format("10.1.0.0/16", "172.31.0.0/16", "out")}),
        "policy",
        "none between the networks 172.31.0.0/16 10.1.0.0/16 fwd",
        {"ping", "mtu", "counters"},
    ),
    "nothing comes back": (
        lambda g: setattr(g, "passes", 0),
        "ping",
        "172.31.12.198 is silent; bytes in, out: [84, 84]",
        {"mtu", "counters"},
    ),
    "black hole": (
        lambda g: setattr(g, "passes", 1238),
        "mtu",
        "packets over 1238 bytes are lost on the path; the tunnel's MTU is 1400",
        set(),
    ),
    "another path": (
        lambda g: g.tools.update({TRAFFIC: '#2: "uk-to-au", inBytes=5, outBytes=5'}),
        "counters",
        "bytes in, out: [0, 0]",
        set(),
    ),
    "no way to the Internet": (
        lambda g: setattr(g, "internet", OSError("timed out")),
        "internet",
        "no TCP to ssm.eu-west-2.amazonaws.com:443: timed out",
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


@pytest.mark.parametrize("damage", [lambda _: "", lambda text: text.split("*nat")[0], lambda text: text[:-6]])
def test_rules_that_are_not_whole_are_no_expectation_and_no_waiting_mends_them(
    gateway: Gateway, damage: Callable[[str], str]
) -> None:
    path = "/etc/vpn-gateway/filter.rules"
    gateway.files |= {path: damage(gateway.files[path]), "/proc/sys/net/ipv4/ip_forward": "0"}
    found, final = look(gateway)
    failed = [name for name, (status, _) in found.items() if status == "failed"]
    assert failed == ["packet_filter", "nat", "sysctl"], "the first one is the diagnosis"
    assert found["packet_filter"][1] == f"{path} is not whole: nothing is forwarded"
    assert final


TWO, OTHER_TWO = ("10.1.0.0/16", "10.5.0.0/16"), ("172.31.0.0/17", "172.31.128.0/17")


@pytest.mark.parametrize(
    ("local", "remote", "names"),
    [
        (TWO, OTHER_TWO, ["1x2", "2x1", "2x2"]),
        # As seen of Libreswan 5.2: who has one network is not counted, having `leftsubnet`, not `leftsubnets`.
        (TWO, OTHER_TWO[:1], ["2x0"]),
        (TWO[:1], OTHER_TWO, ["0x2"]),
    ],
)
def test_of_several_pairs_of_networks_those_without_an_sa_are_asked_for(
    gateway: Gateway, local: tuple[str, ...], remote: tuple[str, ...], names: list[str]
) -> None:
    networks = {"local": local, "remote": remote}
    gateway.files |= installed_files(with_networks(gateway.document, **networks))
    gateway.tools["iptables-save"] = gateway.loaded_rules()
    standing, asked = {(local[0], remote[0])}, list[str]()

    def policy() -> str:
        traps = [(a, b, "out") for a in networks["local"] for b in networks["remote"]]
        return "".join(KEYED.format(*e) for e in [*traps, *((b, a, w) for a, b in standing for w in ("in", "fwd"))])

    gateway.tools["ip xfrm policy"] = policy

    def ask(pair: str) -> str:
        asked.append(pair)
        return ""

    for pair in names:
        gateway.tools[f"{vpn_verify.WHACK} --initiate --asynchronous --name uk-to-au/{pair}"] = partial(ask, pair)
    gateway.clock.sleep = lambda _: standing.update((a, b) for a in networks["local"] for b in networks["remote"])
    found, _ = look(gateway)
    assert {status for status, _ in found.values()} == {"ok"}, found
    assert asked == names

    standing.discard((local[-1], remote[-1]))
    gateway.clock.sleep = lambda _: None
    assert look(gateway)[0]["policy"][0] == "failed"


def test_the_articles_profile_is_verified_as_ikev1(gateway: Gateway) -> None:
    document = gateway_document(profile=TunnelProfile.ARTICLE_2014)
    gateway.files |= installed_files(document)
    assert look(gateway)[0]["ike"][0] == "failed"
    gateway.tools[STATUS] = (
        UP.replace("IKEv2", "IKEv1")
        .replace("AES_GCM_16_256-HMAC_SHA2_512-DH20", "AES_CBC_256-HMAC_SHA1-MODP2048")
        .replace("AES_GCM_16_256-NONE", "AES_CBC_256-HMAC_SHA1_96")
    )
    assert {status for status, _ in look(gateway)[0].values()} == {"ok"}


def test_each_pair_of_networks_needs_its_policies(gateway: Gateway) -> None:
    document = with_networks(gateway_document(), local=("10.1.0.0/16",), remote=("172.31.0.0/16", "172.30.0.0/16"))
    gateway.files |= installed_files(document)
    gateway.tools["iptables-save"] = gateway.loaded_rules()
    gateway.tools[vpn_verify.JOURNAL] = ""
    gateway.tools[f"{vpn_verify.WHACK} --initiate --asynchronous --name uk-to-au/0x2"] = ""
    gateway.clock.sleep = lambda _: None
    assert look(gateway)[0]["policy"] == ("failed", "none between the networks 10.1.0.0/16 172.30.0.0/16 out")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["vpn-verify", *arguments])
    return vpn_verify.main()


def test_json_is_one_document_and_the_exit_code_says_the_same(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    gateway.tools |= {"systemctl is-active ipsec": "failed", STATUS: ""}
    assert call(monkeypatch, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["gateway"]) == (False, "uk-gateway")


def test_people_read_a_line_for_each_layer_and_the_remedy(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.tools |= {"systemctl is-active ipsec": "failed", STATUS: ""}
    call(monkeypatch)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "uk-gateway: NOT ok"
    failed = "failed  daemon        ipsec.service is failed, pluto does not answer"
    assert lines[lines.index(failed) + 1].strip().startswith("-> journalctl")
    assert len(lines) == 1 + len(NAMES) + 1


def test_waiting_ends_when_all_is_well(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.tools |= {"systemctl is-active ipsec": "activating", STATUS: ""}
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            gateway.tools[STATUS] = UP

    gateway.clock.sleep = sleep
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert call(monkeypatch, "--wait", "60") == 0
    assert len(naps) == 3
    assert capsys.readouterr().err == "waiting: daemon: ipsec.service is activating, pluto does not answer\n"


def test_a_remote_command_gets_a_document_and_when_red_one_screen_for_people(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--json") == 0
    assert capsys.readouterr().err == ""
    log = [f'"uk-to-au" #7: STATE_V2_PARENT_I1: retransmission; will wait {n} seconds for response' for n in range(99)]
    no_sa(gateway, "\n".join([JOURNAL, *log]))
    clock = iter(range(0, 1000, 10))
    gateway.clock.monotonic = lambda: float(next(clock))
    assert call(monkeypatch, "--json", "--wait", "600") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["ok"] is False
    lines = printed.err.splitlines()
    (failed,) = [n for n, line in enumerate(lines) if line.startswith("failed")]
    assert lines[failed].startswith("failed  ike           the pre-shared keys differ, or else the identities (")
    assert "-> make both sides alike: pulumi up" in lines[failed + 1]
    assert sum(1 + len(line) // 80 for line in lines) <= 24


def test_waiting_ends_at_once_when_the_boot_has_failed_for_good(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.files["/var/lib/vpn-gateway/boot"] = "failed vpn-secrets"
    assert call(monkeypatch, "--wait", "600") == 1
    assert "step vpn-secrets failed" in capsys.readouterr().out


@pytest.mark.parametrize("module", ["scripts_user", "scripts-user"], ids=["underscore", "hyphen"])
def test_steps_run_again_by_hand_mend_the_boot_but_not_what_else_failed(gateway: Gateway, module: str) -> None:
    ours = f"('{module}', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))"
    gateway.files["/run/cloud-init/result.json"] = json.dumps({"v1": {"errors": [ours]}})
    assert look(gateway)[0]["boot"][0] == "ok"
    gateway.files["/run/cloud-init/result.json"] = json.dumps({"v1": {"errors": [ours, "('write_files', ...)"]}})
    assert look(gateway)[0]["boot"][0] == "failed"


def test_steps_that_are_being_run_again_are_waited_for_whatever_they_said_before(gateway: Gateway) -> None:
    ours = "('scripts-user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))"
    gateway.files["/run/cloud-init/result.json"] = json.dumps({"v1": {"errors": [ours]}})
    gateway.files["/var/lib/vpn-gateway/boot"] = "running packages"
    gateway.tools["pidof -x vpn-boot"] = "1234"
    found, final = look(gateway)
    assert found["boot"] == ("failed", "running packages")
    assert not final


def test_waiting_ends_at_the_deadline(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.tools |= {"systemctl is-active ipsec": "inactive", STATUS: ""}
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
