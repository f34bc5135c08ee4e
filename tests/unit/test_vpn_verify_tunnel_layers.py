"""vpn-verify's layers of one tunnel, with canned answers of pluto and the kernel."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from components.decisions.tunnel import PROFILES, TunnelProfile
from expectations import PATH, Peer, load
from tests.unit import ipsec_sections
from tests.unit.gateway_documents import AU, PPK, PSK, UK, gateway_document, installed_files
from vpn_verify import tunnel_layers
from vpn_verify.connections import pairs_of
from vpn_verify.layer import LayerError
from vpn_verify.start import Start
from vpn_verify.table import TunnelLook

PEER = Peer(**json.loads(installed_files(gateway_document())[PATH])["peers"][0])
NAME, PUBLIC_IP, LOCAL_ID = PEER.connection, PEER.public_ip, "203.0.113.10"
ENDS = ("10.1.1.254", PEER.private_ip)
IKE = f"IKEv{PEER.ike_version} {PEER.ike_algorithm}"
UP = """\
000 "uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; erouted; eroute owner: #2
000 "uk-to-au":   IKEv2 algorithm newest: AES_GCM_16_256-HMAC_SHA2_512-DH20
000 "uk-to-au":   ESP algorithm newest: AES_GCM_16_256-NONE; pfsgroup=<Phase1>
000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10, audit-log=yes
000 Total IPsec connections: loaded 1, active 1
"""
INSISTS = UP + '000 "uk-to-au":   policy: IKEv2+PSK+ENCRYPT+TUNNEL+PFS+PPK_ALLOW+PPK_INSIST+ESN_NO+ESN_YES;\n'
WAITING = """\
000 pluto_version=4.10, pluto_vendorid=OE-Libreswan-4.10, audit-log=yes
000 "uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; prospective erouted; #0
000 Total IPsec connections: loaded 1, active 0
000 #7: "uk-to-au":500 STATE_V2_PARENT_I1 (sent IKE_SA_INIT request); RETRANSMIT in 1s; REPLACE in 9s; idle;
"""
JOURNAL = '"uk-to-au" #7: IKE SA authentication request rejected by peer: AUTHENTICATION_FAILED'
KEYED = "src {} dst {}\n\tdir {} priority 1757392 ptype main\n\ttmpl src x dst y\n\t\tproto esp reqid 1 mode tunnel\n"


class Tools:
    """What the tools of a gateway answer when all is well; tests change it."""

    def __init__(self) -> None:
        self.status = UP
        self.journal = ""
        self.carries = 84
        self.traffic = ""
        self.passes = 1500
        self.policies = [("10.1.0.0/16", "172.31.0.0/16")]
        self.traps = list[tuple[str, str]]()
        self.slept: Callable[[], None] = lambda: None
        self.asked = list[str]()
        self.bytes = 0

    def whack(self, *arguments: str, **_: float) -> str:
        """Answer as whack."""
        if arguments == ("--status",):
            return self.status
        assert arguments == ("--trafficstatus",)
        if self.traffic:
            return self.traffic
        self.bytes += self.carries
        return f'006 #2: "uk-to-au", type=ESP, add_time=1, inBytes={self.bytes}, outBytes={self.bytes}, id=x'

    def policy(self, command: str) -> str:
        """Answer as `ip xfrm policy`: a trap is outward only."""
        assert command == "ip xfrm policy"
        outward = dict.fromkeys([*self.policies, *self.traps])
        inward = [(b, a, way) for a, b in self.policies for way in ("in", "fwd")]
        return "".join(KEYED.format(*each) for each in [*((a, b, "out") for a, b in outward), *inward])


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    made = Tools()

    def answered(source: str, target: str, sizes: Sequence[int], seconds: float) -> list[int]:
        assert (source, target) == ENDS
        return [size for size in sizes if size <= made.passes]

    monkeypatch.setattr(tunnel_layers, "whack", made.whack)
    monkeypatch.setattr(tunnel_layers, "run", made.policy)
    monkeypatch.setattr(tunnel_layers, "initiate", made.asked.append)
    monkeypatch.setattr(tunnel_layers, "ipsec_journal", lambda: made.journal)
    monkeypatch.setattr(tunnel_layers, "answered", answered)
    monkeypatch.setattr(tunnel_layers, "time", SimpleNamespace(sleep=lambda _: made.slept(), monotonic=lambda: 0.0))
    return made


def fails(call: Callable[[], object]) -> str:
    """Return the evidence of a layer that fails."""
    with pytest.raises(LayerError) as error:
        call()
    assert PSK not in str(error.value)
    return str(error.value.args[0])


def test_a_secret_is_for_both_identities_and_for_root_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "uk-to-au.secrets"

    def secrets(text: str, uid: int = 0, mode: int = 0o100600) -> str:
        file.write_text(text)
        status = SimpleNamespace(st_uid=uid, st_mode=mode)
        monkeypatch.setattr(tunnel_layers, "os", SimpleNamespace(stat=lambda _: status))
        return tunnel_layers.secrets(str(file), LOCAL_ID, PUBLIC_IP, postquantum=postquantum)

    postquantum = False
    line = f'{LOCAL_ID} {PUBLIC_IP} : PSK "{PSK}"\n'
    well = f"{file} is root's alone, key {tunnel_layers.fingerprint(PSK, 'PSK', LOCAL_ID, PUBLIC_IP)}"
    others = f"@key.{LOCAL_ID} @key.{PUBLIC_IP}"
    assert secrets(line) == well
    assert secrets(line.replace(" :", f" {others} :")) == well
    assert secrets(f"{line}# /vpn/uk/psk:7\n") == well
    elsewhere = fails(lambda: secrets(line.replace(PUBLIC_IP, f"{PUBLIC_IP}0")))
    assert elsewhere == f"{file} has no key for {LOCAL_ID} {PUBLIC_IP}"
    assert fails(lambda: secrets(f'{LOCAL_ID} : PSK "{PSK}"')) == f"{file} has no key for {LOCAL_ID} {PUBLIC_IP}"
    assert fails(lambda: secrets(line, mode=0o100644)) == f"{file} is uid 0's, mode 644; must be root's, 600"
    assert fails(lambda: secrets(line, uid=7)) == f"{file} is uid 7's, mode 600; must be root's, 600"
    ppk = f'{LOCAL_ID} {PUBLIC_IP} {others} : PPKS "vpn" "{PPK}"\n'
    assert secrets(f"{line}{ppk}") == well
    postquantum = True
    name = tunnel_layers.fingerprint(PPK, 'PPKS "vpn"', LOCAL_ID, PUBLIC_IP)
    assert secrets(f"{line}{ppk}# /vpn/uk/psk:7 /vpn/uk/ppk:3\n") == f"{well}, postquantum key {name}"
    assert fails(lambda: secrets(line)) == f"{file} has no postquantum key for {LOCAL_ID} {PUBLIC_IP}"
    assert fails(lambda: secrets(ppk)) == f"{file} has no key for {LOCAL_ID} {PUBLIC_IP}"


def test_both_gateways_name_the_same_key_and_another_key_or_pair_by_another_name() -> None:
    name = tunnel_layers.fingerprint(PSK, "PSK", LOCAL_ID, PUBLIC_IP)
    assert re.fullmatch("[0-9a-f]{8}", name)
    assert tunnel_layers.fingerprint(PSK, "PSK", PUBLIC_IP, LOCAL_ID) == name
    assert tunnel_layers.fingerprint(f"{PSK}x", "PSK", LOCAL_ID, PUBLIC_IP) != name
    assert tunnel_layers.fingerprint(PSK, 'PPKS "vpn"', LOCAL_ID, PUBLIC_IP) != name
    assert tunnel_layers.fingerprint(PSK, "PSK", LOCAL_ID, "192.0.2.30") != name


def test_a_connection_is_loaded_or_not() -> None:
    assert tunnel_layers.connection([NAME], UP) == NAME
    assert fails(lambda: tunnel_layers.connection([NAME], "pluto_version=5.2, x")) == "uk-to-au is not loaded"


def test_the_layers_know_the_connections_that_are_in_the_user_data(tmp_path: Path) -> None:
    uk = replace(UK, cidr_blocks=("10.5.0.0/16", "10.1.0.0/16"))
    document = gateway_document(uk, replace(AU, cidr_blocks=("172.31.0.0/16", "10.20.0.0/16")))
    files, path = installed_files(document), tmp_path / "gateway.json"
    path.write_text(files[PATH])
    gateway = load(str(path))
    pairs = TunnelLook(gateway, cast("Start", None), gateway.peers[0], {}).pairs
    conns = ipsec_sections.loaded(ipsec_sections.sections(files["/etc/ipsec.d/vpn.conf"]))
    assert pairs == {name: (each["leftsubnet"], each["rightsubnet"]) for name, each in conns.items()}


def test_each_pair_of_ranges_has_a_connection_that_is_loaded() -> None:
    other = f"{NAME}/10.1.0.0/16=10.20.0.0/16"
    status = f'{UP}000 "{other}": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===10.20.0.0/16; unrouted\n'
    assert tunnel_layers.connection([NAME, other], status) == f"{NAME}, {other}"
    assert fails(lambda: tunnel_layers.connection([NAME, other], UP)) == f"{other} is not loaded"
    others = status.replace(f'"{NAME}"', '"other"')
    assert fails(lambda: tunnel_layers.connection([NAME, other], others)) == f"{NAME} is not loaded"


@pytest.mark.parametrize(
    ("own", "public", "evidence"),
    [
        ("10.1.1.7", LOCAL_ID, "packets to 198.51.100.20 leave from 10.1.1.7, not 10.1.1.254"),
        ("10.1.1.254", "", "Elastic IP 203.0.113.10 is not associated with 10.1.1.254, which has none"),
        ("10.1.1.254", "192.0.2.7", "Elastic IP 203.0.113.10 is not associated with 10.1.1.254, which has 192.0.2.7"),
    ],
)
def test_packets_leave_from_the_address_behind_the_elastic_ip(own: str, public: str, evidence: str) -> None:
    def address(own: str, public: str | None) -> str:
        return tunnel_layers.address(own, public, expected=ENDS[0], local_id=LOCAL_ID, public_ip=PUBLIC_IP)

    assert address(ENDS[0], LOCAL_ID) == "10.1.1.254 behind 203.0.113.10"
    assert "does not tell" in address(ENDS[0], None)
    assert fails(lambda: address(own, public)) == evidence


@pytest.mark.parametrize(
    ("answers", "evidence", "remedy"),
    [
        (("silent", "silent"), "UDP 500 and 4500 are silent", "the peer is stopped, has lost its Elastic IP"),
        (("answers", "silent"), "UDP 4500 is silent, the other port answers", "must admit UDP 4500 from 203.0.113.10"),
        (("silent", "answers"), "UDP 500 is silent, the other port answers", "must admit UDP 500 from 203.0.113.10"),
        (("refused", "refused"), "refused: no IKE daemon there", "on the peer: sudo systemctl restart ipsec"),
    ],
)
def test_each_port_of_the_peer_answers_or_has_a_remedy(answers: tuple[str, str], evidence: str, remedy: str) -> None:
    well = dict.fromkeys((500, 4500), "answers")
    assert tunnel_layers.peer(PUBLIC_IP, LOCAL_ID, well) == "198.51.100.20 answers on UDP 500 and 4500"
    with pytest.raises(LayerError) as error:
        tunnel_layers.peer(PUBLIC_IP, LOCAL_ID, dict(zip((500, 4500), answers, strict=True)))
    assert evidence in error.value.args[0]
    assert remedy in error.value.args[1]


def ike(status: str = UP, wanted: str = IKE, *, postquantum: bool = False) -> str:
    return tunnel_layers.ike(NAME, PUBLIC_IP, wanted, status, ENDS, postquantum=postquantum).evidence


def test_an_ike_sa_that_stands_is_named_with_its_algorithms(tools: Tools) -> None:
    tools.slept = pytest.fail
    assert ike() == "IKEv2 AES_GCM_16_256-HMAC_SHA2_512-DH20 with 198.51.100.20"
    found = f"IKEv1 AES_GCM_16_256-HMAC_SHA2_512-DH20, not IKEv2 {PEER.ike_algorithm}"
    assert fails(lambda: ike(UP.replace("IKEv2", "IKEv1"))) == found


def test_pluto_insists_on_a_postquantum_key_or_not_as_the_connection_says(tools: Tools) -> None:
    found = "IKEv2 AES_GCM_16_256-HMAC_SHA2_512-DH20, postquantum key with 198.51.100.20"
    assert ike(INSISTS, postquantum=True) == found
    assert fails(lambda: ike(postquantum=True)) == "pluto does not insist on a postquantum key for uk-to-au"


def test_an_ike_sa_is_waited_for_and_later_layers_see_the_status_with_it(tools: Tools) -> None:
    seen = tunnel_layers.ike(NAME, PUBLIC_IP, IKE, WAITING, ENDS, postquantum=False)
    assert seen.status == "\n".join(UP.splitlines()[:3])


@pytest.mark.parametrize(
    ("journal", "evidence"),
    [
        (JOURNAL, f"the pre-shared keys differ, or else the identities ({JOURNAL})"),
        ("", "no IKE SA with 198.51.100.20: STATE_V2_PARENT_I1 (sent IKE_SA_INIT request)"),
    ],
)
def test_without_an_ike_sa_the_log_tells_the_cause_or_the_status_how_far_it_came(
    tools: Tools, journal: str, evidence: str
) -> None:
    tools.status, tools.journal = WAITING, journal
    assert fails(lambda: ike(WAITING)) == evidence


def policy(
    local: Sequence[str] = ("10.1.0.0/16",),
    remote: Sequence[str] = ("172.31.0.0/16",),
    *,
    esp: str = PEER.esp_algorithm,
    status: str = UP,
) -> str:
    pairs = pairs_of(NAME, ENDS, local, remote)
    return tunnel_layers.policy(NAME, PUBLIC_IP, pairs=pairs, esp_algorithm=esp, status=status)


def test_the_kernel_demands_esp_of_the_expected_algorithm(tools: Tools) -> None:
    assert policy() == "ESP AES_GCM_16_256-NONE"
    other = UP.replace("AES_GCM_16_256-NONE", "AES_CBC_128-HMAC_SHA1_96")
    assert fails(lambda: policy(status=other)) == f"ESP AES_CBC_128-HMAC_SHA1_96, not {PEER.esp_algorithm}"
    assert fails(lambda: policy(status="")) == f"no ESP, not {PEER.esp_algorithm}"


def test_missing_policies_are_named_with_the_cause_if_the_log_tells_it(tools: Tools) -> None:
    tools.policies, tools.traps = [], tools.policies
    assert fails(policy) == "none between the networks 172.31.0.0/16 10.1.0.0/16 fwd"
    tools.journal = '"uk-to-au" #2: IKE_AUTH response rejected: TS_UNACCEPTABLE'
    assert fails(policy) == f"the networks differ ({tools.journal})"


TWO, OTHER_TWO = ("10.1.0.0/16", "10.5.0.0/16"), ("172.31.0.0/17", "172.31.128.0/17")


@pytest.mark.parametrize(
    ("local", "remote", "names"),
    [
        (
            TWO,
            OTHER_TWO,
            [
                "/10.1.0.0/16=172.31.128.0/17",
                "/10.5.0.0/16=172.31.0.0/17",
                "/10.5.0.0/16=172.31.128.0/17",
            ],
        ),
        (TWO, OTHER_TWO[:1], ["/10.5.0.0/16=172.31.0.0/17"]),
        # Here the missing pair is that of the gateways' addresses.
        (TWO[::-1], OTHER_TWO[:1], [""]),
    ],
)
def test_of_several_pairs_of_networks_those_without_an_sa_are_asked_for(
    tools: Tools, local: tuple[str, ...], remote: tuple[str, ...], names: list[str]
) -> None:
    pairs = [(a, b) for a in local for b in remote]
    tools.policies, tools.traps = pairs[:1], pairs
    tools.slept = lambda: setattr(tools, "policies", pairs)
    assert policy(local, remote) == "ESP AES_GCM_16_256-NONE"
    assert tools.asked == [f"uk-to-au{name}" for name in names]

    tools.policies, tools.slept = pairs[:-1], lambda: None
    assert fails(lambda: policy(local, remote)) == f"none between the networks {remote[-1]} {local[-1]} fwd"


def test_the_articles_profile_is_verified_as_ikev1(tools: Tools) -> None:
    expected = PROFILES[TunnelProfile.ARTICLE_2014]
    status = (
        UP.replace("IKEv2", "IKEv1")
        .replace("AES_GCM_16_256-HMAC_SHA2_512-DH20", "AES_CBC_256-HMAC_SHA1-MODP2048")
        .replace("AES_GCM_16_256-NONE", "AES_CBC_256-HMAC_SHA1_96")
    )
    assert ike(status, f"IKEv{expected.ike_version} {expected.ike_algorithm}").startswith("IKEv1 AES_CBC_256")
    assert policy(esp=expected.esp_algorithm, status=status) == "ESP AES_CBC_256-HMAC_SHA1_96"
    assert ", not IKEv1 " in fails(lambda: ike(UP, f"IKEv{expected.ike_version} {expected.ike_algorithm}"))


def test_a_ping_is_answered_and_what_the_tunnel_carried_meanwhile_is_kept(tools: Tools) -> None:
    assert tunnel_layers.ping(NAME, ENDS) == ("172.31.12.198: 3 of 3 answered in 0 ms", (84, 84))
    tools.passes = 0
    assert fails(lambda: tunnel_layers.ping(NAME, ENDS)) == "172.31.12.198 is silent; bytes in, out: [84, 84]"


def test_a_black_hole_is_measured(tools: Tools) -> None:
    assert tunnel_layers.mtu(ENDS, 1400) == "1400 bytes pass unfragmented"
    tools.passes = 1238
    lost = "packets over 1238 bytes are lost on the path; the tunnel's MTU is 1400"
    assert fails(lambda: tunnel_layers.mtu(ENDS, 1400)) == lost


def test_what_was_answered_without_the_sas_took_another_path() -> None:
    assert tunnel_layers.counters((84, 84)) == "bytes in, out: [84, 84]"
    assert fails(lambda: tunnel_layers.counters((84, 0))) == "bytes in, out: [84, 0]"


def associations(tools: Tools, *lines: str, pairs: Sequence[str] = (NAME,)) -> str:
    tools.traffic = "\n".join(lines)
    return tunnel_layers.associations(NAME, pairs)


OTHER_PAIR = f"{NAME}/10.1.0.0/16=10.20.0.0/16"


def test_without_the_peers_address_the_evidence_is_a_child_sa_of_each_pair_and_what_it_has_carried(
    tools: Tools,
) -> None:
    base = f'006 #2: "{NAME}", type=ESP, add_time=1, inBytes=840, outBytes=500, id=x'
    other = f'006 #3: "{OTHER_PAIR}", type=ESP, add_time=1, inBytes=60, outBytes=0, id=x'
    unknown = "; no ping, because private_ip is unknown"
    assert associations(tools, base) == f"{NAME} has its Child SAs, bytes in, out: [840, 500]{unknown}"
    both = associations(tools, base, other, pairs=(NAME, OTHER_PAIR))
    assert both == f"{NAME} has its Child SAs, bytes in, out: [900, 500]{unknown}"
    assert fails(lambda: associations(tools, base, pairs=(NAME, OTHER_PAIR))) == f"no Child SA of {OTHER_PAIR}"
    assert fails(lambda: associations(tools, other, pairs=(NAME, OTHER_PAIR))) == f"no Child SA of {NAME}"
    # The kernel has lost it.
    assert fails(lambda: associations(tools, f'006 #2: "{NAME}", type=ESP')) == f"no Child SA of {NAME}"


@pytest.mark.parametrize(("carried", "idle"), [((0, 0), "in or out"), ((0, 84), "in"), ((84, 0), "out")])
def test_an_idle_tunnel_is_well_and_told_to_be_idle(tools: Tools, carried: tuple[int, int], idle: str) -> None:
    sa = f'006 #2: "{NAME}", type=ESP, add_time=1, inBytes={carried[0]}, outBytes={carried[1]}, id=x'
    assert f"{list(carried)}; idle: no byte {idle} by these SAs; no ping" in associations(tools, sa)


def test_without_the_peers_address_pluto_is_asked_for_an_ike_sa(tools: Tools) -> None:
    seen = tunnel_layers.ike(NAME, PUBLIC_IP, IKE, WAITING, (ENDS[0], ""), postquantum=False)
    assert seen.evidence.startswith("IKEv2 ")
    assert tools.asked == [NAME]


def test_without_the_peers_address_the_layers_know_the_connections_that_are_in_the_user_data(tmp_path: Path) -> None:
    uk = replace(UK, cidr_blocks=("10.5.0.0/16", "10.1.0.0/16"))
    au = replace(AU, private_ip="", cidr_blocks=("10.20.0.0/16", "172.31.0.0/16"))
    files, path = installed_files(gateway_document(uk, au)), tmp_path / "gateway.json"
    path.write_text(files[PATH])
    gateway = load(str(path))
    assert gateway.peers[0].private_ip == ""
    pairs = TunnelLook(gateway, cast("Start", None), gateway.peers[0], {}).pairs
    conns = ipsec_sections.loaded(ipsec_sections.sections(files["/etc/ipsec.d/vpn.conf"]))
    assert pairs == {name: (each["leftsubnet"], each["rightsubnet"]) for name, each in conns.items()}
    assert pairs[NAME] == ("10.1.0.0/16", "10.20.0.0/16")
