"""Proves which ranges of a side go through the tunnel, and that every part of the gateway agrees on them.

Does not prove that Libreswan carries them (tests/lab).
"""

import base64
import re
from ipaddress import IPv4Network, ip_address
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import SettingsError, VpnGatewayPair
from components.decisions.addressing import without
from components.inputs.arguments import SecretDelivery
from components.inputs.peer import MOST_RANGE_PAIRS
from components.inputs.room import MOST_INNER_ADMINISTRATORS, ROOM, places
from components.inputs.settings import pair_settings
from tests.unit import ipsec_sections
from tests.unit.gateway_documents import files_of, one_rule_for_each_address, user_data_of
from tests.unit.recording import Deployment, Recorder

WHOLE = IPv4Network("10.0.0.0/16")
holes = st.builds(
    lambda number, length: IPv4Network((int(WHOLE.network_address) + number, length), strict=False),
    st.integers(0, 2**16 - 1),
    st.integers(17, 32),
)


def _problems(args: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        pair_settings("vpn", args)
    return [str(problem) for problem in caught.value.problems]


def _files(recorder: Recorder, side: str) -> dict[str, str]:
    return files_of(user_data_of(recorder.named(f"vpn-{side}-gateway").inputs))


def _pairs(recorder: Recorder, side: str) -> dict[str, tuple[str, str]]:
    """Return name -> left and right range of the connections that a gateway loads."""
    conns = ipsec_sections.loaded(ipsec_sections.sections(_files(recorder, side)["/etc/ipsec.d/vpn.conf"]))
    return {name: (each["leftsubnet"], each["rightsubnet"]) for name, each in conns.items()}


def _pair(deployment: Deployment, article: dict[str, Any], **left: Any) -> Recorder:
    args: Any = {**article, "left": {**article["left"], **left}}
    return deployment.run(lambda: VpnGatewayPair("vpn", args))


def _rules(recorder: Recorder, side: str) -> str:
    return one_rule_for_each_address(_files(recorder, side)["/etc/vpn-gateway/filter.rules"])


def _admitted(recorder: Recorder, side: str) -> list[str]:
    """Return the ranges that the gateway's packet filter admits to SSH."""
    return re.findall(
        r"^-A VPN-INPUT -s (\S+) -p tcp -m tcp --dport 22 -j RETURN$", _rules(recorder, side), re.MULTILINE
    )


def _sources(recorder: Recorder, group: str) -> set[str]:
    rules = recorder.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    everything = (each.inputs for each in rules if each.inputs["securityGroupId"] == group)
    return {inputs["cidrIpv4"] for inputs in everything if inputs["ipProtocol"] == "-1"}


@given(st.lists(holes, max_size=4), st.integers(0, 2**16 - 1))
def test_what_is_left_is_what_is_in_no_hole_and_nothing_overlaps(excluded: list[IPv4Network], number: int) -> None:
    left = without([WHOLE], excluded)
    address = ip_address(int(WHOLE.network_address) + number)
    assert any(address in part for part in left) is not any(address in hole for hole in excluded)
    assert all(part.subnet_of(WHOLE) for part in left)
    assert not any(one.overlaps(other) for one, other in product(left, left) if one is not other)


def test_more_ranges_of_a_side_are_tunnelled_admitted_and_masqueraded(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = _pair(deployment, article, additional_cidr_blocks=["10.5.0.0/16"])
    assert _pairs(recorder, "uk") == {
        "uk-to-au": ("10.1.0.0/16", "172.31.0.0/16"),
        "uk-to-au/10.5.0.0/16=172.31.0.0/16": ("10.5.0.0/16", "172.31.0.0/16"),
    }
    assert _pairs(recorder, "au") == {
        "au-to-uk": ("172.31.0.0/16", "10.1.0.0/16"),
        "au-to-uk/172.31.0.0/16=10.5.0.0/16": ("172.31.0.0/16", "10.5.0.0/16"),
    }
    here, there = (_rules(recorder, side) for side in ("uk", "au"))
    assert "-A VPN-POSTROUTING -d 10.5.0.0/16 -j ACCEPT" in here
    assert "-A VPN-POSTROUTING -s 10.5.0.0/16 -j MASQUERADE" in here
    assert "-A VPN-FORWARD -d 10.5.0.0/16 -m policy --dir out --pol none -j DROP" in there
    networks = {"10.1.0.0/16", "10.5.0.0/16"}
    assert _sources(recorder, "vpn-uk-gateway-security-group-id") == networks
    assert _sources(recorder, "vpn-uk-private-hosts-security-group-id") == {*networks, "172.31.0.0/16"}
    assert _sources(recorder, "vpn-au-private-hosts-security-group-id") == {*networks, "172.31.0.0/16"}


def test_an_excluded_range_is_in_no_policy_but_still_behind_the_nat(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = _pair(deployment, article, excluded_cidr_blocks=["10.1.128.0/17"])
    assert "leftsubnet=10.1.0.0/17\n" in _files(recorder, "uk")["/etc/ipsec.d/vpn.conf"]
    assert "rightsubnet=10.1.0.0/17\n" in _files(recorder, "au")["/etc/ipsec.d/vpn.conf"]
    here, there = (_rules(recorder, side) for side in ("uk", "au"))
    assert "-A VPN-POSTROUTING -s 10.1.0.0/16 -j MASQUERADE" in here
    assert "-A VPN-FORWARD -d 172.31.0.0/16 -m policy --dir out --pol none -j DROP" in here
    assert "10.1.0.0/17" in there
    assert "10.1.128.0" not in there
    assert "10.1.0.0/16" not in there
    assert _sources(recorder, "vpn-au-private-hosts-security-group-id") == {"172.31.0.0/16", "10.1.0.0/17"}


def test_administrators_in_either_network_are_told_to_both_gateways_and_no_others(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    administrators = ["203.0.113.0/24", "10.5.7.0/24", "172.31.0.0/29", "10.1.128.0/24", "10.5.7.9/32"]
    left = {"additional_cidr_blocks": ["10.5.0.0/16"], "excluded_cidr_blocks": ["10.1.128.0/17"]}
    recorder = _pair(deployment, {**article, "administrator_cidr_blocks": administrators}, **left)
    assert _admitted(recorder, "uk") == ["10.1.128.0/24", "10.5.7.0/24", "172.31.0.0/29"]
    # What is excluded does not come through the tunnel.
    assert _admitted(recorder, "au") == ["10.5.7.0/24", "172.31.0.0/29"]


def test_when_everybody_is_an_administrator_so_is_everybody_in_both_networks(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = _pair(deployment, {**article, "administrator_cidr_blocks": ["0.0.0.0/0"]})
    assert _admitted(recorder, "uk") == _admitted(recorder, "au") == ["10.1.0.0/16", "172.31.0.0/16"]


def test_who_administers_from_outside_is_not_in_the_user_data(deployment: Deployment, article: dict[str, Any]) -> None:
    def user_data(administrator: str) -> Any:
        recorder = _pair(Deployment(), {**article, "administrator_cidr_blocks": [administrator]})
        return recorder.named("vpn-uk-gateway").inputs["userDataBase64"]

    assert user_data("203.0.113.7/32") == user_data("203.0.113.0/24")


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (
            {"additional_cidr_blocks": ["10.1.5.0/24"]},
            "left.additional_cidr_blocks[0] '10.1.5.0/24': overlaps `left.c",
        ),
        (
            {"additional_cidr_blocks": ["172.31.5.0/24"]},
            "right.cidr_block '172.31.0.0/16': overlaps `left.additional",
        ),
        ({"additional_cidr_blocks": ["0.0.0.0/0"]}, "left.additional_cidr_blocks[0] '0.0.0.0/0': contains loopback"),
        ({"additional_cidr_blocks": ["fd00::/8"]}, "left.additional_cidr_blocks[0] 'fd00::/8': is IPv6, and only IPv4"),
        (
            {"excluded_cidr_blocks": ["10.2.0.0/24"]},
            "left.excluded_cidr_blocks[0] '10.2.0.0/24': is in no CIDR block of",
        ),
        (
            {"excluded_cidr_blocks": ["10.1.1.0/24"]},
            "left.excluded_cidr_blocks[0] '10.1.1.0/24': contains the address of the gateway, 10.1.1.254",
        ),
        (
            {"excluded_cidr_blocks": ["10.1.10.0/24"]},
            "left.excluded_cidr_blocks[0] '10.1.10.0/24': contains the address of the probe host, 10.1.10.41",
        ),
        (
            {"excluded_cidr_blocks": ["10.1.64.0/18", "10.1.64.0/24"]},
            "left.excluded_cidr_blocks[1] '10.1.64.0/24': overlaps `left.excluded_cidr_blocks[0]`",
        ),
    ],
)
def test_ranges_that_cannot_be_meant_are_named(article: dict[str, Any], side: dict[str, Any], expected: str) -> None:
    told = _problems({**article, "left": {**article["left"], **side}})
    assert [problem for problem in told if problem.startswith(expected)], told


def test_more_pairs_of_ranges_than_sensible_are_refused_with_their_number(article: dict[str, Any]) -> None:
    many = [f"10.1.{number}.0/32" for number in (64, 128, 192)]
    more = [f"172.31.{number}.0/32" for number in (64, 128, 240)]
    left = {**article["left"], "excluded_cidr_blocks": many}
    right = {**article["right"], "excluded_cidr_blocks": more}
    (problem,) = _problems({**article, "left": left, "right": right})
    assert problem.startswith("left.excluded_cidr_blocks and right.excluded_cidr_blocks '…': would make")
    assert f" Child SAs in the tunnel, one for each pair of ranges, more than {MOST_RANGE_PAIRS}; " in problem


def test_more_ranges_than_user_data_has_room_for_are_refused_before_any_address_is_known(
    article: dict[str, Any],
) -> None:
    more = [f"10.{number}.0.0/16" for number in range(2, 75)]
    # Each is a range, and a pair with the other side's range.
    most = next(number for number in range(64) if places(number + 3, [number + 2]) > ROOM[SecretDelivery.USER_DATA])
    left = {**article["left"], "additional_cidr_blocks": more[:most]}
    # A plain dict, not a TypedDict.
    pair_settings("vpn", {**article, "left": left, "secret_delivery": "user-data"})  # type: ignore[typeddict-item]
    left = {**article["left"], "additional_cidr_blocks": more[: most + 1]}
    (problem,) = _problems({**article, "left": left, "secret_delivery": "user-data"})
    ranges = ", ".join(f"{side}.{key}_cidr_blocks" for side in ("left", "right") for key in ("additional", "excluded"))
    assert problem == (
        f"{ranges} '53 ranges at uk, 1 at au, 53 pairs of ranges': take 183 places of the gateway's user data, which "
        "has 180 with secret_delivery user-data; a range takes 2, a peer 10, a peer with several pairs of ranges 12 "
        "more, and each of these pairs 1; use fewer peers, or fewer or larger ranges, or exclude larger, aligned ones"
    )


def test_a_range_that_is_excluded_as_a_whole_takes_room_too(article: dict[str, Any]) -> None:
    more = [f"10.{number}.0.0/16" for number in range(2, 106)]
    sides: Any = {side: {**article[side], "additional_cidr_blocks": more} for side in ("left", "right")}
    for side, other in (("left", "right"), ("right", "left")):
        excluding = {**sides[side], "excluded_cidr_blocks": more}
        (problem,) = _problems({**article, side: excluding})
        here, there = article[side]["name"], article[other]["name"]
        assert f" '105 ranges at {here}, 1 at {there}, 1 pairs of ranges': take 222 places of " in problem
    left = {**sides["left"], "additional_cidr_blocks": more[3:], "excluded_cidr_blocks": more[3:]}
    pair_settings("vpn", {**article, "left": left})  # type: ignore[typeddict-item]  # a plain dict


def test_all_pairs_of_ranges_that_a_tunnel_may_have_fit_with_secrets_in_ssm() -> None:
    shapes = [(here, MOST_RANGE_PAIRS // here) for here in (1, 2, 4, 8, 16, 32, 64)]
    taken = {shape: places(sum(shape), [MOST_RANGE_PAIRS]) for shape in shapes}
    assert max(taken.values()) <= ROOM[SecretDelivery.SSM], taken


def test_more_administrators_inside_than_user_data_has_room_for_are_refused(article: dict[str, Any]) -> None:
    inside = [f"10.1.{2 * number}.0/24" for number in range(MOST_INNER_ADMINISTRATORS + 1)]
    outside = [f"198.18.{2 * number}.0/24" for number in range(40)]
    # A plain dict, not a TypedDict.
    pair_settings("vpn", {**article, "administrator_cidr_blocks": [*inside[1:], *outside]})  # type: ignore[typeddict-item]
    (problem,) = _problems({**article, "administrator_cidr_blocks": [*inside, *outside]})
    assert problem == (
        "administrator_cidr_blocks '17 ranges inside the networks of uk and its peers': are more than the 16 for which "
        "a gateway's user data has room; use fewer, larger ranges"
    )


def test_as_many_ranges_as_are_allowed_fit_into_the_user_data(deployment: Deployment, article: dict[str, Any]) -> None:
    left = {**article["left"], "excluded_cidr_blocks": ["10.1.77.0/24"]}
    right = {**article["right"], "excluded_cidr_blocks": ["172.31.77.0/24"]}
    args: Any = {**article, "left": left, "right": right}
    settings = pair_settings("vpn", args)
    assert len(settings.left.ranges) * len(settings.right.ranges) == MOST_RANGE_PAIRS
    recorder = deployment.run(lambda: VpnGatewayPair("vpn", args))
    assert len(base64.b64decode(recorder.named("vpn-uk-gateway").inputs["userDataBase64"])) <= 16384
