"""strongSwan's configuration, and how its output and Libreswan's are parsed. The peer itself runs in tests/scenarios.

`LISTED` is `swanctl --list-sas` of strongSwan 5.9.8 after a rekey, with addresses of documentation ranges.
"""

from dataclasses import replace

import pytest

from components.decisions.tunnel import TunnelProfile
from tests.scenarios import negotiated
from tests.scenarios.strongswan import configuration
from tests.scenarios.strongswan.configuration import OFFERS, WEAK_OFFERS, Association
from tests.unit.gateway_documents import AU, PPK, PSK, UK

LISTED = """\
strongswan: #3, ESTABLISHED, IKEv2, aa7c26c069854d61_i* 04a6f491da6eb16d_r
  local  '198.51.100.20' @ 198.51.100.20[4500]
  remote '203.0.113.10' @ 203.0.113.10[4500]
  AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384
  established 40s ago, rekeying in 14196s
  strongswan: #1, reqid 1, DELETED, TUNNEL-in-UDP, ESP:AES_GCM_16-256
    installed 40s ago
    in  97fea325,    168 bytes,     2 packets,    30s ago
    out 6425f055,    168 bytes,     2 packets,    30s ago
    local  172.31.0.0/16
    remote 10.1.0.0/16
  strongswan: #2, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256/ECP_384
    installed 3s ago, rekeying in 3240s, expires in 3957s
    in  c7fea325,     84 bytes,     1 packets,     1s ago
    out b425f055,    420 bytes,     5 packets,     0s ago
    local  172.31.0.0/16
    remote 10.1.0.0/16
"""
CONNECTING = """\
strongswan: #14, CONNECTING, IKEv1, d1820465649e60d8_i* 0000000000000000_r
  local  '%any' @ 198.51.100.20[500]
  remote '%any' @ 203.0.113.10[500]
  queued:  QUICK_MODE
  active:  ISAKMP_VENDOR ISAKMP_CERT_PRE MAIN_MODE ISAKMP_CERT_POST ISAKMP_NATD
"""
UNNAMED = """\
(unnamed): #7, CONNECTING, IKEv2, f6da49cf346261a5_i 2d77fd32fb8cdb39_r*
  local  '%any' @ 198.51.100.20[500]
  remote '%any' @ 203.0.113.10[500]
  AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384
  passive: IKE_INIT IKE_CERT_PRE IKE_AUTH IKE_CERT_POST IKE_CONFIG IKE_MOBIKE IKE_ESTABLISH CHILD_CREATE
"""
CHILDLESS = LISTED.partition("  strongswan: ")[0]

STATUS = """\
{start}"uk-to-au":   IKEv1 algorithm newest: AES_CBC_256-HMAC_SHA1-MODP2048
{start}"uk-to-au":   ESP algorithm newest: AES_CBC_256-HMAC_SHA1_96; pfsgroup=<Phase1>
{start}"uk-to-us":   IKEv2 algorithm newest: AES_GCM_16_256-HMAC_SHA2_512-DH20
"""
TRAFFIC = """\
{start}#2: "uk-to-au", type=ESP, add_time=1763871000, inBytes=336, outBytes=420, maxBytes=2^63B, id='198.51.100.20'
{start}#5: "uk-to-au", type=ESP, add_time=1763871010, inBytes=84, outBytes=0, maxBytes=2^63B, id='198.51.100.20'
{start}#4: "uk-to-us", type=ESP, add_time=1763871000, inBytes=1, outBytes=1, maxBytes=2^63B, id='198.51.100.21'
"""
STARTS = pytest.mark.parametrize("start", [{"status": "000 ", "traffic": "006 "}, {"status": "", "traffic": ""}])


def test_the_newest_child_sa_is_the_one_that_counts() -> None:
    ike, esp = "AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384", "AES_GCM_16-256/ECP_384"
    assert configuration.associations(LISTED) == [Association("ESTABLISHED", True, 2, ike, esp, "c7fea325", 84, 420)]


def test_an_ike_sa_without_child_sa_has_no_esp_and_one_that_is_only_asked_for_no_algorithms() -> None:
    childless, connecting = configuration.associations(CHILDLESS + CONNECTING)
    assert (childless.ike_algorithms, childless.esp_algorithms) == ("AES_GCM_16-256/PRF_HMAC_SHA2_512/ECP_384", "")
    assert connecting == Association("CONNECTING", True, 1, "")


def test_an_ike_sa_that_the_gateway_began_is_distinguished() -> None:
    turned = LISTED.replace("_i* ", "_i ").replace("_r\n", "_r*\n")
    assert [found.is_initiator for found in configuration.associations(LISTED + turned)] == [True, False]


@pytest.mark.parametrize("text", [LISTED + UNNAMED, UNNAMED + LISTED])
def test_what_belongs_to_no_connection_yet_is_left_out(text: str) -> None:
    assert configuration.associations(text) == configuration.associations(LISTED)


def test_nothing_listed_is_no_association() -> None:
    assert configuration.associations("") == []


def test_the_connection_is_the_gateways_seen_from_the_other_side() -> None:
    lines = configuration.connection_conf(AU, UK, OFFERS[TunnelProfile.MODERN]).split("\n")
    for line in (
        "    version = 2",
        "    local_addrs = 198.51.100.20",
        "    remote_addrs = 203.0.113.10",
        "    proposals = aes256gcm16-prfsha512-ecp384",
        "        local_ts = 172.31.0.0/16",
        "        remote_ts = 10.1.0.0/16",
        "        esp_proposals = aes256gcm16-ecp384",
    ):
        assert line in lines
    assert sum(line.endswith("{") for line in lines) == sum(line.strip() == "}" for line in lines)


def test_the_keys_are_spelled_in_hex_so_that_none_of_their_characters_means_anything() -> None:
    text = configuration.secrets_conf(AU, UK, PSK, PPK)
    for key in (PSK, PPK):
        assert f"secret = 0x{key.encode().hex()}\n" in text
    assert "ppk" not in configuration.secrets_conf(AU, UK, PSK, None)


def test_only_an_ikev2_offer_insists_on_the_postquantum_key() -> None:
    modern, article = (OFFERS[profile] for profile in TunnelProfile)
    insists = "    ppk_id = vpn\n    ppk_required = yes\n"
    assert insists in configuration.connection_conf(AU, UK, modern)
    for offer in (article, replace(modern, is_postquantum=False)):
        assert "ppk" not in configuration.connection_conf(AU, UK, offer)


def test_esp_in_user_space_comes_before_the_kernels() -> None:
    plugins = configuration.strongswan_conf().split("load = ")[1].split("\n")[0].split()
    assert plugins.index("kernel-libipsec") < plugins.index("kernel-netlink")


@pytest.mark.parametrize("weakness", WEAK_OFFERS)
def test_a_weak_offer_names_something_that_the_modern_profile_never_uses(weakness: str) -> None:
    offer = WEAK_OFFERS[weakness]
    words = set(f"{offer.ike}-{offer.esp}".split("-"))
    weak = {"3des", "md5", "prfmd5", "sha1", "prfsha1", "null", "modp768", "modp1024", "modp1536"}
    assert words & weak or offer.ike_version == 1


@STARTS
def test_a_gateways_sas_are_those_of_the_connection(start: dict[str, str]) -> None:
    status, traffic = STATUS.format(start=start["status"]), TRAFFIC.format(start=start["traffic"])
    found = negotiated.parse("uk-to-au", status, traffic)
    assert found.ike == "IKEv1 AES_CBC_256-HMAC_SHA1-MODP2048"
    assert found.esp == "AES_CBC_256-HMAC_SHA1_96"
    assert (found.bytes_in, found.bytes_out) == (420, 420)
    assert found.is_up


@STARTS
def test_without_a_line_of_traffic_no_child_sa_stands(start: dict[str, str]) -> None:
    found = negotiated.parse("uk-to-au", STATUS.format(start=start["status"]), "")
    assert not found.is_up
    assert found.bytes_in == 0
