"""vpn-verify's parsers on what the tools print.

The transcripts in tests/unit/transcripts are `ipsec status` of Libreswan 4.10 and 5.2 connected to each other; both
stop before the Child SA, which a kernel without ESP cannot have. The lines on Child SAs are spelled as those releases'
own test suites record them. Those named after what differs are the logs of two plutos of that release, one time begun
by either: 24 lines at most each, without times.
"""

import re
from pathlib import Path

import pytest

import pluto
from vpn_verify import causes, gateway_layers, packet_filter, tunnel_layers
from vpn_verify import status as parse

TRANSCRIPTS = Path(__file__).parent / "transcripts"
SIDES = pytest.mark.parametrize(("version", "connection"), [("4.10", "uk-to-au"), ("5.2", "au-to-uk")])

SAME_KEYS = "the pre-shared keys differ"
UNSURE = "the pre-shared keys differ, or else the identities"
PROFILES_DIFFER = "no common version or proposal: the profiles differ"
LOGS = {
    "psk": {(SAME_KEYS, ""), (UNSURE, "")},
    "identity": {
        ("the peer's identity is another", ""),
        ("the peer expects another identity", ""),
        (UNSURE, ""),
        # The side that is right, and has authenticated the other.
        ("", ""),
    },
    "profile": {(PROFILES_DIFFER, "")},
    "ike-proposal": {(PROFILES_DIFFER, "")},
    "esp-proposal": {("", "no common ESP proposal: the profiles differ")},
    "networks": {("", "the networks differ")},
}
"""What differs -> the causes that may be read from a log, where the layer is asked: without an IKE SA, or with one."""

TRAFFIC = {
    "4.10": """\
006 #2: "uk-to-au", type=ESP, add_time=1763871000, inBytes=336, outBytes=420, maxBytes=2^63B, id='198.51.100.20'
006 #4: "uk-to-au-2", type=ESP, add_time=1763871000, inBytes=1, outBytes=1, maxBytes=2^63B, id='198.51.100.21'
""",
    "5.2": """\
#2: "uk-to-au", type=ESP, add_time=1763871000, inBytes=336, outBytes=420, maxBytes=2^63B, id='198.51.100.20'
#4: "uk-to-au-2", type=ESP, add_time=1763871000, inBytes=1, outBytes=1, maxBytes=2^63B, id='198.51.100.21'
""",
}
POLICIES = """\
src 10.1.0.0/16 dst 172.31.0.0/16
\tdir out priority 1757392 ptype main
\ttmpl src 10.1.1.254 dst 198.51.100.20
\t\tproto esp reqid 16389 mode tunnel
src 172.31.0.0/16 dst 10.1.0.0/16
\tdir fwd priority 1757392 ptype main
\ttmpl src 198.51.100.20 dst 10.1.1.254
\t\tproto esp reqid 16389 mode tunnel
src 10.1.0.0/16 dst 10.9.0.0/16
\tdir out action block priority 1757392 ptype main
src ::/0 dst ::/0 proto ipv6-icmp type 135
\tdir out priority 1 ptype main
src 0.0.0.0/0 dst 0.0.0.0/0
\tsocket in priority 0 ptype main
"""
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
ens6\t00000000\t0101010A\t0003\t0\t0\t200\t00000000\t0\t0\t0
ens5\t00000000\t0101010A\t0003\t0\t0\t100\t00000000\t0\t0\t0
ens5\t0001010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
RULES = (
    "*nat\n:VPN-POSTROUTING - [0:0]\n-A VPN-POSTROUTING -s a -d b -j ACCEPT\n-A VPN-POSTROUTING -j MASQUERADE\nCOMMIT\n"
)


def status(version: str, moment: str) -> str:
    return (TRANSCRIPTS / f"libreswan-{version}-{moment}.txt").read_text()


@SIDES
def test_a_loaded_connection_is_found_in_the_status(version: str, connection: str) -> None:
    assert parse.about(connection, status(version, "trap"))
    assert not parse.about(connection[:-1], status(version, "trap"))


@SIDES
def test_a_trap_is_not_an_ike_sa(version: str, connection: str) -> None:
    lines = parse.about(connection, status(version, "trap"))
    assert parse.algorithms("IKEv[12]", lines) == ""


@SIDES
def test_an_established_ike_sa_has_version_and_algorithms(version: str, connection: str) -> None:
    lines = parse.about(connection, status(version, "ike"))
    assert parse.algorithms("IKEv[12]", lines) == "IKEv2 AES_GCM_16_256-HMAC_SHA2_512-DH20"
    assert parse.algorithms("ESP", lines) == ""


@pytest.mark.parametrize("start", ["000 ", ""])
def test_the_connections_of_other_pairs_of_ranges_belong_to_their_connection(start: str) -> None:
    text = (
        f'{start}"uk-to-au":   IKEv1 algorithm newest: AES_CBC_256-HMAC_SHA1-MODP2048\n'
        f'{start}"uk-to-au/10.1.0.0/16=10.8.0.0/16":   ESP algorithm newest: AES_CBC_256-HMAC_SHA1_96; pfsgroup=MODP\n'
        f'{start}"uk-to-au/10.5.0.0/16=10.8.0.0/16":   ESP algorithm newest: AES_CBC_256-HMAC_SHA1_96; pfsgroup=MODP\n'
        f'{start}"uk-to-au-2":   ESP algorithm newest: NULL-HMAC_SHA1_96; pfsgroup=<Phase1>\n'
    )
    lines = parse.about("uk-to-au", text)
    assert parse.algorithms("IKEv[12]", lines) == "IKEv1 AES_CBC_256-HMAC_SHA1-MODP2048"
    assert parse.algorithms("ESP", lines) == "ESP AES_CBC_256-HMAC_SHA1_96"


@pytest.mark.parametrize("version", list(TRAFFIC))
def test_traffic_is_that_of_the_connection_alone(version: str) -> None:
    assert pluto.traffic("uk-to-au", TRAFFIC[version]) == {"#2": (336, 420)}
    assert pluto.traffic("uk-to-au", "") == {}


def test_traffic_names_pairs_of_ranges_and_sas_that_the_kernel_has_lost() -> None:
    text = """\
006 #2: "uk-to-au", type=ESP, add_time=1234567890, inBytes=84, outBytes=168, id='198.51.100.20'
#4: "uk-to-au/10.1.0.0/16=10.20.0.0/16", type=ESP, add_time=1234567890, inBytes=0, outBytes=0, id='198.51.100.20'
#5: "uk-to-au", type=ESP, add_time=1234567890, id='198.51.100.20'
"""
    assert pluto.traffic("uk-to-au", text) == {"#2": (84, 168), "/10.1.0.0/16=10.20.0.0/16#4": (0, 0), "#5": None}


def test_growth_counts_a_rekeyed_sa_whole_and_a_gone_one_not() -> None:
    assert tunnel_layers.growth({"#2": (100, 100)}, {"#2": (184, 100), "#3": (84, 0)}) == (168, 0)
    assert tunnel_layers.growth({"#2": (100, 100)}, {"#3": (84, 168)}) == (84, 168)
    assert tunnel_layers.growth({"#2": (100, 100)}, {}) == (0, 0)


def test_only_policies_that_demand_esp_count() -> None:
    assert tunnel_layers.policies(POLICIES) == {"10.1.0.0/16 172.31.0.0/16 out", "172.31.0.0/16 10.1.0.0/16 fwd"}


def test_the_default_route_with_the_lowest_metric_names_the_interface() -> None:
    assert gateway_layers.default_interface(ROUTES) == "ens5"
    assert gateway_layers.default_interface(ROUTES.splitlines()[0]) == ""


def saved(*built_in: str, own: tuple[str, ...] = ("-s a -d b -j ACCEPT", "-j MASQUERADE")) -> packet_filter.Chains:
    text = "# Generated by iptables-save\n*nat\n:POSTROUTING ACCEPT [1:60]\n:VPN-POSTROUTING - [0:0]\n"
    text += "".join(f"-A POSTROUTING {rule}\n" for rule in built_in)
    return packet_filter.chains(text + "".join(f"-A VPN-POSTROUTING {rule}\n" for rule in own) + "COMMIT\n")


def test_rules_as_they_should_be_have_no_difference() -> None:
    assert packet_filter.difference(packet_filter.chains(RULES), saved("-j VPN-POSTROUTING", "-j ACCEPT")) == ""
    assert packet_filter.chains(RULES.replace("\n", "\n\n")) == packet_filter.chains(RULES)


@pytest.mark.parametrize(
    ("actual", "problem"),
    [
        (saved("-j VPN-POSTROUTING", own=("-j MASQUERADE",)), "nat POSTROUTING: no '-s a -d b -j ACCEPT'"),
        (
            saved("-j VPN-POSTROUTING", own=("-j MASQUERADE", "-s a -d b -j ACCEPT")),
            "nat POSTROUTING: '-s a -d b -j ACCEPT' comes after '-j MASQUERADE'",
        ),
        (
            saved("-j MASQUERADE", "-j VPN-POSTROUTING"),
            "nat POSTROUTING: '-j VPN-POSTROUTING' comes after '-j MASQUERADE'",
        ),
        (
            saved("-j VPN-POSTROUTING", own=("-s a -d b -j ACCEPT", "-j MASQUERADE", "-j LOG")),
            "nat POSTROUTING: '-j LOG' is one too many",
        ),
        (saved(), "nat POSTROUTING: no '-j VPN-POSTROUTING'"),
        ({}, "nat POSTROUTING: no '-s a -d b -j ACCEPT'"),
    ],
    ids=[
        "a rule missing",
        "exemption after masquerade",
        "another rule first",
        "a rule more",
        "no jump",
        "nothing at all",
    ],
)
def test_a_different_rule_is_named(actual: packet_filter.Chains, problem: str) -> None:
    assert packet_filter.difference(packet_filter.chains(RULES), actual) == problem


def logs(version: str, profile: str, what: str) -> list[tuple[str, str, str]]:
    """Return (heading, site, log) of each log that was taken."""
    text = (TRANSCRIPTS / f"libreswan-{version}-{profile}-{what}-differs.txt").read_text()
    parts = [part.partition("\n") for part in text.split("== ")[1:]]
    return [(heading, heading.split()[-1], log) for heading, _, log in parts]


SEEN_FROM = {"uk": ("uk-to-au", "198.51.100.20"), "au": ("au-to-uk", "203.0.113.10")}
"""Site -> name and public address of its peer's connection."""


def causes_of(site: str, log: str) -> tuple[str, str]:
    """Return what ike and policy say of a log, in words; policy is only asked where there is an IKE SA."""
    words = [
        causes.cause(*SEEN_FROM[site], each, log).split(" (")[0] for each in (causes.IKE_CAUSES, causes.POLICY_CAUSES)
    ]
    established = re.search(r"(IKE|ISAKMP) SA established|established IKE SA", log)
    return ("", words[1]) if established else (words[0], "")


@pytest.mark.parametrize("version", ["4.10", "5.2"])
@pytest.mark.parametrize("profile", ["modern", "article-2014"])
@pytest.mark.parametrize("what", LOGS)
def test_plutos_log_tells_the_cause_on_either_side(version: str, profile: str, what: str) -> None:
    found = {causes_of(site, log) for _, site, log in logs(version, profile, what)}
    if (version, profile, what) == ("4.10", "article-2014", "networks"):
        # The responder takes its own networks for those proposed and fails at the kernel, here one without ESP.
        assert found == {("", "")}
        return
    if what == "identity":
        found = {(ike, "") for ike, _ in found}
    assert found <= LOGS[what]
    assert found - {("", "")}
    if what == "psk":
        assert found == LOGS[what]


def test_only_the_newest_negotiation_since_the_daemon_started_tells() -> None:
    uk = SEEN_FROM["uk"]
    old = '"uk-to-au" #1: authentication failed: computed hash does not match hash received from peer\n'
    new = '"uk-to-au" #12: dropping unexpected IKE_SA_INIT message containing NO_PROPOSAL_CHOSEN notification\n'
    others = '"uk-to-au-2" #13: x AUTHENTICATION_FAILED\npacket from 192.0.2.9:500: AUTHENTICATION_FAILED\n'
    probed = "packet from 198.51.100.20:41000: message contains unsupported IKE major version '3'\n"
    assert causes.cause(*uk, causes.IKE_CAUSES, old + new + others + probed).startswith(PROFILES_DIFFER)
    assert causes.cause(*uk, causes.IKE_CAUSES, new + old).startswith(f"{SAME_KEYS} (")
    assert causes.cause(*uk, causes.IKE_CAUSES, old + "Starting Pluto (Libreswan)\n" + probed) == ""


def test_the_surest_line_of_a_negotiation_tells() -> None:
    log = (
        "\"uk-to-au\" #1: Peer ID '198.51.100.20' mismatched on first found connection\n"
        '"uk-to-au" #1: responding with encrypted notification AUTHENTICATION_FAILED\n'
    )
    found = causes.cause(*SEEN_FROM["uk"], causes.IKE_CAUSES, log)
    assert found.startswith('the peer\'s identity is another ("uk-to-au" #1: Peer ID')


def test_a_cause_is_read_from_the_lines_of_any_pair_of_ranges() -> None:
    line = '"uk-to-au/10.1.0.0/16=10.20.0.0/16" #3: CREATE_CHILD_SA failed with error notification TS_UNACCEPTABLE'
    log = f"Starting Pluto\n{line}\n"
    assert causes.cause(*SEEN_FROM["uk"], causes.POLICY_CAUSES, log) == f"the networks differ ({line})"
    assert causes.cause(*SEEN_FROM["uk"], causes.POLICY_CAUSES, log.replace("uk-to-au", "uk-to-au-2")) == ""


def test_a_peers_vague_refusal_gives_way_to_what_this_side_has_refused_since_it_last_had_a_tunnel() -> None:
    vague = '"uk-to-au" #9: IKE SA authentication request rejected by peer: AUTHENTICATION_FAILED\n'
    precise = "packet from 198.51.100.20:500: connection has ppk=insist but peer does not support PPK\n"
    other = '"uk-to-au" #3: no local proposal matches remote proposals, NO_PROPOSAL_CHOSEN\n'
    up = '"uk-to-au" #7: initiator established IKE SA; authenticated peer using authby=secret\n'

    def named(log: str) -> str:
        return causes.cause("uk-to-au", "198.51.100.20", causes.IKE_CAUSES, log).partition(" (")[0]

    assert named(precise + other + vague) == "no postquantum pre-shared key in common"
    assert named(precise + up + vague) == "the pre-shared keys differ, or else the identities"
    assert named(other + vague) == "the pre-shared keys differ, or else the identities"
