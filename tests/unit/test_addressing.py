"""Proves the decisions about addresses for any network. Does not prove that AWS agrees."""

from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.decisions.addressing import (
    Problem,
    check_disjoint,
    check_host,
    check_subnet,
    check_vpc,
    common,
    default_gateway_address,
    default_subnets,
    parse_address,
    parse_network,
    reserved_addresses,
    subnet_of,
)


@st.composite
def networks(draw: st.DrawFn, shortest: int = 16, longest: int = 27) -> IPv4Network:
    prefix_length = draw(st.integers(shortest, longest))
    address = draw(st.integers(0, 2**32 - 1))
    return IPv4Network((address, prefix_length), strict=False)


@given(networks())
def test_default_subnets_are_disjoint_parts_of_the_vpc_that_aws_accepts(vpc: IPv4Network) -> None:
    defaults = default_subnets(vpc)
    assert defaults is not None
    public, private = defaults
    assert not public.overlaps(private)
    assert check_subnet("public", public, vpc) == check_subnet("private", private, vpc) == []
    assert check_host("gateway", default_gateway_address(public), [public]) == []


def test_a_28_is_too_small_for_two_subnets() -> None:
    assert default_subnets(IPv4Network("10.0.0.0/28")) is None


def test_the_default_address_is_that_of_the_articles_gateway() -> None:
    assert default_gateway_address(IPv4Network("10.1.1.0/24")) == IPv4Address("10.1.1.254")


@given(networks())
def test_every_network_is_parsed_from_its_own_text(network: IPv4Network) -> None:
    assert parse_network("x", str(network)) == network


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("10.0.0.0/33", "not a valid IPv4 CIDR"),
        ("10.0.0/16", "not a valid IPv4 CIDR"),
        ("10.0.0.0", "not an IPv4 CIDR block"),
        ("10.0.0.0/255.255.0.0", "not an IPv4 CIDR block"),
        ("2001:db8::/32", "is IPv6, and only IPv4"),
        ("", "not an IPv4 CIDR block"),
        ("10.0.1.0/16", "use 10.0.0.0/16"),
        ("10.0.0.0/016", "use 10.0.0.0/16"),
    ],
)
def test_a_malformed_or_non_canonical_cidr_is_a_named_problem(text: str, rule: str) -> None:
    problem = parse_network("left.cidr_block", text)
    assert isinstance(problem, Problem)
    assert str(problem).startswith(f"left.cidr_block {text!r}: ")
    assert rule in str(problem)


@given(st.text(max_size=30))
def test_no_text_causes_an_exception(text: str) -> None:
    assert isinstance(parse_network("x", text), IPv4Network | Problem)
    assert isinstance(parse_address("x", text), IPv4Address | Problem)


@pytest.mark.parametrize("prefix_length", [8, 15, 29, 32])
def test_a_vpc_is_a_16_to_a_28(prefix_length: int) -> None:
    (problem,) = check_vpc("cidr_block", IPv4Network(f"10.0.0.0/{prefix_length}"))
    assert "a /16 to a /28" in problem.rule


@pytest.mark.parametrize("network", ["127.1.0.0/16", "169.254.0.0/16", "224.0.0.0/16", "0.0.0.0/16", "240.0.0.0/16"])
def test_a_vpc_contains_no_addresses_that_hosts_cannot_have(network: str) -> None:
    assert len(check_vpc("cidr_block", IPv4Network(network))) == 1


@given(networks(longest=28))
def test_exactly_the_first_four_addresses_and_the_last_are_reserved(subnet: IPv4Network) -> None:
    reserved = reserved_addresses(subnet)
    assert len(reserved) == 5
    for address in (subnet[0], subnet[3], subnet[-1]):
        (problem,) = check_host("gateway_private_ip", address, [subnet])
        assert "reserved by AWS" in problem.rule
    assert check_host("x", subnet[4], [subnet]) == check_host("x", subnet[-2], [subnet]) == []


@given(networks(), networks())
def test_two_overlapping_networks_are_a_problem_and_disjoint_ones_are_not(one: IPv4Network, other: IPv4Network) -> None:
    problems = check_disjoint([("left", one), ("right", other)])
    assert bool(problems) == (one[0] in other or other[0] in one)
    assert all(problem.setting == "right" and "'left'" not in problem.rule for problem in problems)


def test_an_address_outside_every_subnet_is_refused_with_all_of_them() -> None:
    subnets = [IPv4Network("10.0.1.0/24"), IPv4Network("10.0.2.0/24")]
    (problem,) = check_host("probe_host_private_ip", IPv4Address("10.0.3.9"), subnets)
    assert "10.0.1.0/24 or 10.0.2.0/24" in problem.rule
    assert subnet_of(IPv4Address("10.0.2.9"), subnets) == subnets[1]


@given(st.lists(networks(1, 6), max_size=4), st.lists(networks(1, 6), max_size=4), st.integers(0, 2**32 - 1))
def test_common_returns_the_addresses_that_both_lists_contain(
    some: list[IPv4Network], others: list[IPv4Network], number: int
) -> None:
    shared = common(some, others)
    for address in (IPv4Address(number), *(network.network_address for network in (*some, *others))):
        inside = all(any(address in network for network in each) for each in (some, others))
        assert any(address in network for network in shared) is inside
    assert not any(one.overlaps(other) for one, other in combinations(shared, 2))
