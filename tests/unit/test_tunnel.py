"""Proves the connections of both ends of a tunnel. Does not prove that Libreswan accepts them."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.decisions.tunnel import (
    PROFILES,
    TCP_MSS,
    TUNNEL_MTU,
    End,
    EspOverhead,
    TunnelProfile,
    connect,
    largest_inner_packet,
)
from tests.unit import ipsec_sections

addresses = st.ip_addresses(v=4).map(str)


@st.composite
def ends(draw: st.DrawFn) -> End:
    """Draw an end with one to three ranges; one of them has the gateway's address, unless that is unknown."""
    hosts = draw(st.lists(addresses, min_size=1, max_size=3, unique=True))
    return End(
        site=draw(st.from_regex(r"[a-z]{1,5}", fullmatch=True)),
        public_ip=draw(addresses),
        private_ip=draw(st.sampled_from([*hosts, ""])),
        cidr_blocks=tuple(f"{address}/32" for address in hosts),
    )


@given(ends(), ends(), st.sampled_from(TunnelProfile), st.booleans())
def test_each_connection_has_one_on_the_other_side_with_left_and_right_exchanged(
    one: End, other: End, profile: TunnelProfile, postquantum: bool
) -> None:
    own, peers = (connect(*sides, profile, postquantum=postquantum) for sides in ((one, other), (other, one)))
    ipsec_sections.check_mirror(ipsec_sections.loaded(own.sections), ipsec_sections.loaded(peers.sections))


@given(ends(), ends(), st.sampled_from(TunnelProfile))
def test_each_pair_of_ranges_is_one_connection_and_has_it_in_its_name_but_for_that_of_the_gateways_addresses(
    one: End, other: End, profile: TunnelProfile
) -> None:
    decision = connect(one, other, profile, postquantum=False)
    found = ipsec_sections.loaded(decision.sections)
    pairs = {name: (each["leftsubnet"], each["rightsubnet"]) for name, each in found.items()}
    base = tuple(f"{end.private_ip}/32" if end.private_ip else end.cidr_blocks[0] for end in (one, other))
    assert next(iter(decision.sections)) == decision.name
    assert pairs.pop(decision.name) == base
    assert pairs == {
        f"{decision.name}/{own}={peers}": (own, peers)
        for own in one.cidr_blocks
        for peers in other.cidr_blocks
        if (own, peers) != base
    }
    aliases = {name: each.get("connalias") for name, each in found.items()}
    assert aliases == dict.fromkeys(pairs, f"{decision.name}/others") | {decision.name: None}


UK = End(site="uk", public_ip="54.26.1.1", private_ip="10.1.1.254", cidr_blocks=("10.1.0.0/16",))
AU = End(site="au", public_ip="54.124.1.1", private_ip="172.31.12.198", cidr_blocks=("172.31.0.0/16",))


def test_one_pair_of_ranges_is_one_section() -> None:
    (keywords,) = connect(UK, AU, TunnelProfile.MODERN, postquantum=True).sections.values()
    assert list(keywords)[:9] == [
        *("authby", "auto", "type", "left", "leftid", "leftsubnet", "right", "rightid", "rightsubnet"),
    ]
    assert not keywords.keys() & {"also", "connalias"}


def test_a_tunnel_insists_on_a_postquantum_key_only_if_it_is_asked_to() -> None:
    def keywords(*, postquantum: bool) -> Mapping[str, str]:
        (found,) = connect(UK, AU, TunnelProfile.MODERN, postquantum=postquantum).sections.values()
        return found

    assert keywords(postquantum=True) == {**keywords(postquantum=False), "ppk": "insist"}


def test_several_pairs_of_ranges_share_a_section_that_is_not_loaded() -> None:
    uk, au = (
        replace(UK, cidr_blocks=("10.5.0.0/16", "10.1.0.0/16")),
        replace(AU, cidr_blocks=("172.31.0.0/16", "10.20.0.0/16")),
    )
    sections = dict(connect(uk, au, TunnelProfile.MODERN, postquantum=True).sections)
    common = sections.pop("uk-to-au/common")
    (alone,) = connect(UK, AU, TunnelProfile.MODERN, postquantum=True).sections.values()
    assert common == {k: v for k, v in alone.items() if k not in ("auto", "leftsubnet", "rightsubnet")}

    def section(own: str, peers: str) -> dict[str, str]:
        return {"also": "uk-to-au/common", "auto": "ondemand", "leftsubnet": own, "rightsubnet": peers}

    others = {"connalias": "uk-to-au/others"}
    assert sections == {
        "uk-to-au": section("10.1.0.0/16", "172.31.0.0/16"),
        "uk-to-au/10.5.0.0/16=172.31.0.0/16": section("10.5.0.0/16", "172.31.0.0/16") | others,
        "uk-to-au/10.5.0.0/16=10.20.0.0/16": section("10.5.0.0/16", "10.20.0.0/16") | others,
        "uk-to-au/10.1.0.0/16=10.20.0.0/16": section("10.1.0.0/16", "10.20.0.0/16") | others,
    }


def test_a_range_more_changes_no_connection_that_there_was() -> None:
    def found(*more: str) -> dict[str, ipsec_sections.Section]:
        au = replace(AU, cidr_blocks=("172.31.0.0/16", "10.20.0.0/16", *more))
        return ipsec_sections.loaded(connect(UK, au, TunnelProfile.MODERN, postquantum=True).sections)

    assert found().items() < found("10.21.0.0/16").items()


def test_the_articles_connection_has_the_articles_names_and_values() -> None:
    decision = connect(UK, AU, TunnelProfile.ARTICLE_2014, postquantum=False)
    assert decision.name == "uk-to-au"
    article = {
        "authby": "secret",
        "type": "tunnel",
        "leftid": "54.26.1.1",
        "leftsubnet": "10.1.0.0/16",
        "right": "54.124.1.1",
        "rightsubnet": "172.31.0.0/16",
        "ike": "aes256-sha1;modp2048",
        "esp": "aes256-sha1;modp2048",
        "encapsulation": "yes",
        "ikev2": "no",
    }
    assert article.items() <= decision.sections["uk-to-au"].items()
    assert PROFILES[TunnelProfile.ARTICLE_2014].config_setup == {"ikev1-policy": "accept"}


def test_modern_is_ikev2_with_gcm_and_accepts_no_weak_algorithm() -> None:
    modern = PROFILES[TunnelProfile.MODERN]
    assert modern.ike_version == 2
    assert modern.config_setup == {"ikev1-policy": "drop"}
    algorithms = modern.keywords["ike"] + modern.keywords["esp"]
    assert not any(weak in algorithms for weak in ("sha1", "md5", "3des", "modp", "cbc", "aes256"))
    assert modern.weaknesses is None


def test_the_weak_profile_has_a_warning() -> None:
    assert PROFILES[TunnelProfile.ARTICLE_2014].weaknesses


@pytest.mark.parametrize(
    ("overhead", "inner"),
    [
        (EspOverhead(block=4, initialization_vector=8, integrity_check=16), 1438),
        (EspOverhead(block=16, initialization_vector=16, integrity_check=12), 1422),
        (EspOverhead(block=16, initialization_vector=16, integrity_check=32), 1406),
    ],
)
def test_the_largest_inner_packet_is_what_was_measured(overhead: EspOverhead, inner: int) -> None:
    assert largest_inner_packet(overhead) == inner


@pytest.mark.parametrize("profile", TunnelProfile)
def test_the_tunnels_mtu_and_mss_fit_every_profile(profile: TunnelProfile) -> None:
    assert largest_inner_packet(PROFILES[profile].esp_overhead) >= TUNNEL_MTU
    assert TCP_MSS == 1360
