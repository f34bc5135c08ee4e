"""The reader of ipsec.conf(5) and of `whack --status`, on texts of gateways and of Libreswan 4.10 and 5.2."""

import pytest

import ipsec_conf
from components.decisions.tunnel import TunnelProfile
from tests.unit.gateway_documents import gateway_document, installed_files

SEVERAL = """\
# A comment.
config setup
  ikev1-policy=drop

conn uk-to-au/common
  left=%defaultroute
  leftid = "203.0.113.10"
  ikev2=yes

conn uk-to-au
  # Another one.
  also=uk-to-au/common
  auto=ondemand
  leftsubnet=10.1.1.0/24

conn uk-to-au/10.1.0.0/16=10.20.0.0/16
  also=uk-to-au/common
  also=more
  auto=ondemand
  left=10.1.1.254
  connalias=uk-to-au/others

conn more
  also=uk-to-au/common
  also=more
  left=192.0.2.1
  dpddelay=15

conn by-hand
  auto=ignore
"""


def test_a_connection_has_the_keywords_of_what_it_refers_to_but_its_own_first() -> None:
    conf = ipsec_conf.parse(SEVERAL)
    common = {"leftid": "203.0.113.10", "ikev2": "yes"}
    assert conf.setup == {"ikev1-policy": "drop"}
    assert conf.connections == {
        "uk-to-au": common | {"left": "%defaultroute", "auto": "ondemand", "leftsubnet": "10.1.1.0/24"},
        "uk-to-au/10.1.0.0/16=10.20.0.0/16": common
        | {"left": "10.1.1.254", "auto": "ondemand", "connalias": "uk-to-au/others", "dpddelay": "15"},
    }
    assert next(iter(conf.connections)) == "uk-to-au"


@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_a_gateways_file_is_read_to_the_last_keyword(profile: TunnelProfile) -> None:
    document = gateway_document(profile=profile)
    conf = ipsec_conf.parse(installed_files(document)[ipsec_conf.PATH])
    (decided,) = document.connections
    assert conf.setup == decided.profile.config_setup
    assert conf.connections == {name: dict(keywords) for name, keywords in decided.sections.items()}


@pytest.mark.parametrize("text", ["", "nonsense", "conn", "  lonely=1\n", "conn a\n  also=a\n", "config\n  a=1"])
def test_a_damaged_file_has_no_connections(text: str) -> None:
    assert ipsec_conf.parse(text) == ({}, {})


STATUS = """\
000 interface lo/lo 127.0.0.1@500
000 Connection list:
000 "uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; prospective erouted; owner: #0
000 "uk-to-au":     oriented; my_ip=unset; their_ip=unset;
000 "uk-to-au/10.1.0.0/16=10.20.0.0/16": 10.1.0.0/16===10.1.1.254...198.51.100.20===10.20.0.0/16; unrouted; owner: #0
"uk-to-us/1x2": 10.1.0.0/16===10.1.1.254[203.0.113.10]...192.0.2.1===10.9.0.0/16; routed-tunnel; my_ip=unset;
"road"[2] 192.0.2.7: 10.1.0.0/16===10.1.1.254...192.0.2.7===10.7.0.0/16; routed-tunnel; my_ip=unset;
000 #7: "uk-to-fr":500 STATE_V2_PARENT_I1 (sent IKE_SA_INIT request); RETRANSMIT in 1s; idle;
"""


def test_the_loaded_connections_and_whether_their_policies_are_in_the_kernel_are_read_of_both_versions() -> None:
    assert ipsec_conf.loaded(STATUS) == {
        "uk-to-au": True,
        "uk-to-au/10.1.0.0/16=10.20.0.0/16": False,
        "uk-to-us/1x2": True,
        "road": True,
    }


def test_a_connection_with_lists_of_ranges_is_loaded_as_its_pairs() -> None:
    conf = ipsec_conf.parse("conn uk-to-au\n  auto=ondemand\n  leftsubnets={10.1.0.0/16,10.2.0.0/16}\n")
    assert ipsec_conf.difference(conf, ["uk-to-au/1x0", "uk-to-au/2x0"]) == ""
    assert ipsec_conf.difference(conf, []) == "uk-to-au is not loaded"


def test_what_is_missing_is_named_before_what_should_not_be_there() -> None:
    conf = ipsec_conf.parse(SEVERAL)
    both = [*conf.connections]
    assert ipsec_conf.difference(conf, both) == ""
    assert ipsec_conf.difference(conf, [*both, "by-hand", "road"]) == ""
    assert ipsec_conf.difference(conf, [*both[1:], "uk-to-au/1x2"]) == "uk-to-au is not loaded"
    assert ipsec_conf.difference(conf, [*both, "uk-to-au/1x2"]).startswith("uk-to-au/1x2 is loaded, and ")
