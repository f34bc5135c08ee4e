"""The connection that proves the pre-shared key: what it is, and that nothing takes it for the tunnel's."""

import re

import pluto as gateway_pluto
from components.decisions.key_proof import key_connection
from components.decisions.tunnel import TunnelProfile, connect, tunnel_keywords
from tests.unit.gateway_documents import AU, UK, gateway_document, installed_files
from vpn_verify.causes import IKE_CAUSES, cause
from vpn_verify.status import about

KEYWORDS = tunnel_keywords(TunnelProfile.MODERN, postquantum=True)
NAME, KEY = key_connection("uk", "au", UK.public_ip, AU.public_ip, KEYWORDS)


def test_each_sides_right_is_the_others_left() -> None:
    name, there = key_connection("au", "uk", AU.public_ip, UK.public_ip, KEYWORDS)
    assert (NAME, name) == ("key/uk-to-au", "key/au-to-uk")
    for keyword in ("id", "subnet"):
        assert KEY[f"left{keyword}"] == there[f"right{keyword}"]
        assert KEY[f"right{keyword}"] == there[f"left{keyword}"]


def test_it_is_negotiated_as_the_tunnel_but_with_identities_of_its_own_and_ends_by_itself() -> None:
    (tunnel,) = connect(UK, AU, TunnelProfile.MODERN, postquantum=True).sections.values()
    assert {key for key in KEY if KEY[key] == tunnel.get(key)} == {
        *("authby", "type", "left", "right", "ppk", "ikev2", "ike", "esp", "pfs"),
        *("encapsulation", "fragmentation", "narrowing", "leftupdown"),
    }
    assert (KEY["leftid"], KEY["rightid"]) == (f"@key.{UK.public_ip}", f"@key.{AU.public_ip}")
    assert (KEY["auto"], KEY["rekey"]) == ("add", "no")
    lifetime, margin = (int(KEY[key].removesuffix("s")) for key in ("salifetime", "rekeymargin"))
    assert 2 * margin < lifetime <= 120


def test_no_rule_of_the_packet_filter_is_about_its_ranges_but_that_of_ike() -> None:
    ranges = {KEY["leftsubnet"], KEY["rightsubnet"]}
    rules = installed_files(gateway_document())["/etc/vpn-gateway/filter.rules"].splitlines()
    named = [rule for rule in rules if any(each in rule for each in ranges)]
    assert named
    assert all(re.search(r"-p udp -m multiport --d?ports 500,4500", rule) for rule in named)


def test_nobody_takes_its_sas_for_the_tunnels() -> None:
    line = f'"{NAME}": 203.0.113.10[@key.203.0.113.10]...198.51.100.20; unrouted'
    state = f'#3: "{NAME}":4500 ESTABLISHED_IKE_SA (established IKE SA); newest; idle;'
    assert about("uk-to-au", f"{line}\n000 {line}\n{state}\n000 {state}") == ""
    sa = f'#4: "{NAME}", type=ESP, add_time=1, inBytes=0, outBytes=0, id=x'
    assert gateway_pluto.traffic("uk-to-au", f"{sa}\n006 {sa}") == {}
    log = f'"{NAME}" #3: IKE SA authentication request rejected by peer: AUTHENTICATION_FAILED'
    assert cause("uk-to-au", AU.public_ip, IKE_CAUSES, log) == ""
