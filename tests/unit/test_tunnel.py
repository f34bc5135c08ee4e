"""Proves the connections of both ends of a tunnel. Does not prove that Libreswan accepts them."""

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

addresses = st.ip_addresses(v=4).map(str)


@st.composite
def ends(draw: st.DrawFn) -> End:
    """Draw an end with one to three ranges; one of them has the gateway's address."""
    hosts = draw(st.lists(addresses, min_size=1, max_size=3, unique=True))
    return End(
        site=draw(st.from_regex(r"[a-z]{1,5}", fullmatch=True)),
        public_ip=draw(addresses),
        private_ip=draw(st.sampled_from(hosts)),
        cidr_blocks=tuple(f"{address}/32" for address in hosts),
    )


def _side(keywords: dict[str, str], side: str) -> dict[str, str]:
    shared = ("id", "subnet", "subnets")
    return {key.removeprefix(side): value for key, value in keywords.items() if key in {side + name for name in shared}}


@given(ends(), ends(), st.sampled_from(TunnelProfile))
def test_each_sides_right_equals_the_others_left(one: End, other: End, profile: TunnelProfile) -> None:
    own, peers = dict(connect(one, other, profile).keywords), dict(connect(other, one, profile).keywords)
    assert _side(own, "left") == _side(peers, "right")
    assert _side(own, "right") == _side(peers, "left")
    assert own["right"] == peers["leftid"]
    assert peers["right"] == own["leftid"]
    unsided = [{k: v for k, v in each.items() if not k.startswith(("left", "right"))} for each in (own, peers)]
    assert unsided[0] == unsided[1]


@given(ends(), ends())
def test_the_ranges_with_the_gateways_addresses_are_numbered_by_their_place_on_each_side(one: End, other: End) -> None:
    own, peers = (connect(*ends, TunnelProfile.MODERN).pair_of_addresses for ends in ((one, other), (other, one)))
    assert own.strip("/").split("x") == peers.strip("/").split("x")[::-1]
    if not own:
        assert len(one.cidr_blocks) == len(other.cidr_blocks) == 1
        return
    for end, number in zip((one, other), map(int, own.strip("/").split("x")), strict=True):
        # Libreswan counts `leftsubnets` from 1; a single `leftsubnet` has the number 0.
        assert (number == 0) == (len(end.cidr_blocks) == 1)
        assert end.cidr_blocks[max(number - 1, 0)] == f"{end.private_ip}/32"


def test_the_articles_connection_has_the_articles_names_and_values() -> None:
    uk = End(site="uk", public_ip="54.26.1.1", private_ip="10.1.1.254", cidr_blocks=("10.1.0.0/16",))
    au = End(site="au", public_ip="54.124.1.1", private_ip="172.31.12.198", cidr_blocks=("172.31.0.0/16",))
    decision = connect(uk, au, TunnelProfile.ARTICLE_2014)
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
    assert article.items() <= dict(decision.keywords).items()
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
