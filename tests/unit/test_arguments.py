"""Proves that arguments become complete settings or one message with every problem. Creates nothing."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.decisions.problems import Problem
from components.decisions.tunnel import TunnelProfile
from components.inputs.arguments import SecretDelivery, SiteArgs
from components.inputs.problems import SettingsError
from components.inputs.settings import gateway_settings, pair_settings
from tests.unit.existing_cloud import PUBLIC, TABLE_A, VPC
from tests.unit.gateway_documents import HOST_KEY, PPK, PUBLIC_KEY

PEER = {"name": "au", "public_ip": "192.0.2.1", "private_ip": "172.31.12.198", "cidr_blocks": ["172.31.0.0/16"]}
GATEWAY = {
    "name": "uk",
    "cidr_block": "10.1.0.0/16",
    "psk": "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip",
    "ssh_public_key": PUBLIC_KEY,
    "peers": [PEER],
}


def _changed(article: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    args = copy.deepcopy(article)
    for path, value in changes.items():
        *parents, key = path.split(".")
        target = args
        for parent in parents:
            target = target[parent]
        target[key] = value
    return {key: value for key, value in args.items() if value is not None}


def _problems(args: Any, name: str = "vpn") -> list[str]:
    with pytest.raises(SettingsError) as caught:
        pair_settings(name, args)
    return [str(problem) for problem in caught.value.problems]


def _problems_or_none(args: Any) -> tuple[Problem, ...]:
    try:
        pair_settings("vpn", args)
    except SettingsError as error:
        return error.problems
    return ()


def test_the_articles_pair_is_complete_with_every_default(article: dict[str, Any]) -> None:
    settings = pair_settings("vpn", article)  # type: ignore[arg-type]  # a plain dict
    assert str(settings.left.gateway_private_ip) == "10.1.1.254"
    assert str(settings.right.gateway_private_ip) == "172.31.12.198"
    assert (settings.left.instance_type, settings.left.image) == ("t3.nano", "debian-13")
    assert settings.profile is TunnelProfile.MODERN
    assert settings.secret_delivery is SecretDelivery.SSM
    assert (settings.verify, settings.verify_timeout_seconds) == (True, 600)


def test_a_network_alone_is_enough_for_a_side(article: dict[str, Any]) -> None:
    side = {"name": "uk", "region": "eu-west-2", "cidr_block": "10.1.0.0/16"}
    left = pair_settings("vpn", {**article, "left": side}).left  # type: ignore[typeddict-item]  # a plain dict
    assert (str(left.public_subnet_cidr_block), str(left.private_subnet_cidr_blocks[0])) == (
        "10.1.0.0/24",
        "10.1.1.0/24",
    )
    assert str(left.gateway_private_ip) == "10.1.0.254"
    assert left.probe_host_private_ip is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"left.cidr_block": "10.1.0.0"}, "left.cidr_block '10.1.0.0': is not an IPv4 CIDR"),
        ({"left.cidr_block": "10.1.1.0/16"}, "left.cidr_block '10.1.1.0/16': is not canonical"),
        ({"left.cidr_block": "10.0.0.0/15"}, "left.cidr_block '10.0.0.0/15': a VPC is a /16 to a /28"),
        ({"right.cidr_block": "10.1.0.0/16"}, "right.cidr_block '10.1.0.0/16': overlaps `left.cidr_block`"),
        ({"left.public_subnet_cidr_block": "10.2.1.0/24"}, "left.public_subnet_cidr_block '10.2.1.0/24': is outside"),
        ({"left.private_subnet_cidr_blocks": ["10.1.1.128/25"]}, "left.private_subnet_cidr_blocks[0] '10.1.1.128/25'"),
        ({"left.gateway_private_ip": "10.1.2.9"}, "left.gateway_private_ip '10.1.2.9': is outside its subnet"),
        ({"left.gateway_private_ip": "10.1.1.3"}, "left.gateway_private_ip '10.1.1.3': is reserved by AWS"),
        ({"left.gateway_private_ip": "10.1.1.255"}, "left.gateway_private_ip '10.1.1.255': is reserved by AWS"),
        ({"left.probe_host_private_ip": "10.1.1.9"}, "left.probe_host_private_ip '10.1.1.9': is outside its subnet"),
        ({"right.name": "uk"}, "right.name 'uk': is the name of the left side too"),
        ({"left.name": "UK side"}, "left.name 'UK side': does not match"),
        ({"left.region": "London"}, "left.region 'London': does not match"),
        ({"left.availability_zones": ["eu-west-1a"]}, "left.availability_zones 'eu-west-1a': is not in region"),
        ({"left.image": "debian-11"}, "left.image 'debian-11': is not a known image"),
        (
            {"left.host_private_key": HOST_KEY},
            "left.host_private_key '(secret)': `host_private_key` and `host_public_key`",
        ),
        ({"left.assume_role_arn": "deployer"}, "left.assume_role_arn 'deployer': does not match"),
        ({"left.cidr": "10.1.0.0/16"}, "left.cidr '…': is not a known setting"),
        ({"psk": 12345678}, "psk 'int': is not text; write it as text, in quotes"),
        ({"psk": "MySuperSecretVpnKey2024"}, "psk '(secret)': is made of words, years"),
        ({"psk": "0xaec8d3991aaff8bc"}, "psk '(secret)': is worth 64 bits at most"),
        ({"psk": 'fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8I"'}, "psk '(secret)': has characters"),
        ({"profile": "best"}, "profile 'best': is unknown (known: modern, article-2014)"),
        ({"secret_delivery": "mail"}, "secret_delivery 'mail': is unknown"),
        ({"administrator_cidr_blocks": None}, "verify 'true': needs SSH"),
        ({"administrator_cidr_blocks": "192.0.2.1/32"}, "administrator_cidr_blocks '192.0.2.1/32': is not a list"),
        ({"ssh_public_key": PUBLIC_KEY}, "verify 'true': cannot log in"),
        ({"ssh_private_key": HOST_KEY}, "ssh_private_key '(secret)': needs `ssh_public_key`"),
        ({"verify_timeout_seconds": 5}, "verify_timeout_seconds '5': is not a number of seconds in range"),
        ({"verify": "yes"}, "verify 'yes': is not a boolean"),
        ({"tags": {"Name": "x"}}, "tags.Name 'x': is set by the component"),
        ({"tags": {"name": "x"}}, "tags.name 'x': is set by the component"),
        ({"tags": {"AWS:owner": "x"}}, "tags.AWS:owner 'x': `aws:` is reserved"),
        ({"tags": {"owner": "a (b)"}}, "tags.owner 'a (b)': is not a tag that EC2, IAM and SSM all take"),
        ({"tags": {"owner": 7}}, "tags.owner '7': is not text"),
        ({"tags": {f"tag{n}": "x" for n in range(50)}}, "tags '50': are more than the 49"),
        ({"psk": "fQ0yS7nXw2LrGzV9bTqHk{{cJ1uEa8I}}"}, "psk '(secret)': has `{{`"),
        ({"ppk": "0xaec8d3991aaff8bc8e2e3f731a8f6882"}, "ppk '(secret)': is worth 128 bits at most, fewer than 256"),
        ({"ppk": PPK, "psk": PPK}, "ppk '(secret)': is the pre-shared key too; give two keys"),
        ({"ppk": PPK, "postquantum": False}, "ppk '(secret)': is not used when `postquantum` is false"),
        ({"ppk": PPK, "profile": "article-2014"}, "ppk '(secret)': is for IKEv2 (RFC 8784), and profile article-2014"),
        ({"postquantum": "yes"}, "postquantum 'yes': "),
        (
            {"administrator_cidr_blocks": ["192.0.2.1/32"] * 2},
            "administrator_cidr_blocks '192.0.2.1/32': is given more",
        ),
        ({"left.cidr_block": "10.1.0.0/33"}, "left.cidr_block '10.1.0.0/33': is not a valid IPv4 CIDR"),
        ({"left.cidr_block": "10.1.0.0/29"}, "left.cidr_block '10.1.0.0/29': a VPC is a /16 to a /28"),
        (
            {"left.private_subnet_cidr_blocks": ["10.1.10.0/24"] * 2},
            "left.private_subnet_cidr_blocks[1] '10.1.10.0/24'",
        ),
        ({"left": None}, "left 'None': is not a mapping of settings"),
        (
            {"secret_delivery": "user-data", "left.permissions_boundary_arn": "arn:aws:iam::123456789012:policy/b"},
            "left.permissions_boundary_arn 'arn:aws:iam::123456789012:policy/b': bounds the role of `secret_delivery`",
        ),
        ({"left.host_private_key": "", "left.host_public_key": PUBLIC_KEY}, "left.host_private_key '(secret)': is not"),
        (
            {"left.host_private_key": HOST_KEY, "left.host_public_key": "ssh-ed25519 AAAA"},
            "left.host_public_key '…': is not one line of an SSH public key; use the .pub file: ssh-ed25519 AAAA…",
        ),
        ({"ssh_private_key": "x", "ssh_public_key": PUBLIC_KEY}, "ssh_private_key '(secret)': is not a private key in"),
        (
            {"ssh_authorized_keys": [PUBLIC_KEY, HOST_KEY]},
            "ssh_authorized_keys[1] '…': is not one line of an SSH public key; use the .pub file",
        ),
        ({"ssh_authorized_keys": PUBLIC_KEY}, f"ssh_authorized_keys '{PUBLIC_KEY}': is not a list; write a list, even"),
        (
            {"ssh_authorized_keys": [PUBLIC_KEY], "verify": False},
            "ssh_authorized_keys '…': needs a login, because the user data has no room for it; set `verify` to true",
        ),
    ],
)
def test_bad_input_is_named_with_value_rule_and_remedy(
    article: dict[str, Any], changes: dict[str, Any], expected: str
) -> None:
    problems = _problems(_changed(article, changes))
    (problem,) = [each for each in problems if each.startswith(expected)]
    assert "; " in problem
    # The subnets and addresses of the old network are outside the new one. The error lists them as well.
    if "left" not in changes and not any("cidr_block" in path for path in changes):
        assert len(problems) == 1, problems


def test_all_problems_of_both_sides_come_in_one_message(article: dict[str, Any]) -> None:
    changes = {
        "left.cidr_block": "10.1.0.0/33",
        "right.gateway_private_ip": "172.31.12.1",
        "right.name": "uk",
        "psk": "short",
        "profile": "best",
        "administrator_cidr_blocks": None,
    }
    named = {problem.split(" ")[0] for problem in _problems(_changed(article, changes))}
    assert named == {"left.cidr_block", "right.gateway_private_ip", "right.name", "psk", "profile", "verify"}


def test_a_vpc_without_room_for_two_subnets_says_so(article: dict[str, Any]) -> None:
    side = {"name": "uk", "region": "eu-west-2", "cidr_block": "10.1.0.0/28"}
    (problem,) = _problems({**article, "left": side})
    assert problem == "left.cidr_block '10.1.0.0/28': has no room for two subnets; use a /27 or larger"


def test_one_subnet_given_into_the_place_of_the_others_default_is_refused(article: dict[str, Any]) -> None:
    side = {
        "name": "uk",
        "region": "eu-west-2",
        "cidr_block": "10.1.0.0/16",
        "private_subnet_cidr_blocks": ["10.1.0.0/24"],
    }
    (problem,) = _problems({**article, "left": side})
    assert "left.private_subnet_cidr_blocks[0] '10.1.0.0/24': overlaps `left.public_subnet_cidr_block`" in problem


def test_a_resource_name_leaves_room_for_the_iam_roles(article: dict[str, Any]) -> None:
    assert len(_problems(article, name="x" * 38)) == 2
    pair_settings("x" * 37, article)  # type: ignore[arg-type]  # a plain dict


@pytest.mark.parametrize("name", ["my pair", "net/vpn", "aws-vpn", "SSM", "sg-vpn", ""])
def test_a_resource_name_is_one_that_every_service_takes(article: dict[str, Any], name: str) -> None:
    (problem,) = _problems(article, name=name)
    assert problem.startswith(f"resource name {name!r}: cannot begin the names of IAM roles")


def test_tags_that_iam_takes_for_the_same_are_refused(article: dict[str, Any]) -> None:
    problems = _problems({**article, "tags": {"owner": "a", "Owner": "b", "team": "ä / @ c"}})
    assert [problem.split(":")[0] for problem in problems] == ["tags.owner 'a'", "tags.Owner 'b'"]


def test_a_private_key_in_the_place_of_a_public_one_is_refused_without_showing_it(article: dict[str, Any]) -> None:
    private = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"
    keys = {"ssh_public_key": private, "ssh_private_key": private}
    (problem,) = _problems({**article, **keys})
    assert problem.startswith("ssh_public_key '…': is not one line of an SSH public key; use the .pub file")
    side = {**article["left"], "host_public_key": "ssh-rsa AAAAB3NzaC1yc2E=", "host_private_key": private}
    (problem,) = _problems({**article, "left": side})
    assert problem.startswith("left.host_public_key '…': is not one line")


def test_no_secret_is_in_any_message(article: dict[str, Any]) -> None:
    secret = "hunter2hunter2"  # noqa: S105 - not one
    text = "\n".join(_problems(_changed(article, {"psk": secret, "left.host_private_key": secret})))
    assert secret not in text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=12)
    | st.sampled_from(["10.0.0.0/16", "10.0.0.0/24", "10.0.0.9", "uk", "eu-west-2", "debian-13"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SiteArgs.__annotations__]), inner),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*SiteArgs.__annotations__, "left", "right", "psk", "tags"]), json_values))
def test_any_arguments_become_settings_or_named_problems(args: dict[str, Any]) -> None:
    problems = _problems_or_none(args)
    assert all(problem.setting and problem.rule and problem.remedy for problem in problems)


def test_a_gateway_needs_a_key_to_log_in_and_with_peers_a_pre_shared_one() -> None:
    for peers, required in ([], {"ssh_public_key"}), (GATEWAY["peers"], {"psk", "ssh_public_key"}):
        args: Any = {"name": "uk", "cidr_block": "10.1.0.0/16", "peers": peers}
        with pytest.raises(SettingsError) as caught:
            gateway_settings("vpn", args)
        assert {problem.setting for problem in caught.value.problems} == required


@pytest.mark.parametrize(
    ("peer", "rule"),
    [
        ({"name": "uk"}, "is the name of two gateways"),
        ({"cidr_blocks": ["10.1.9.0/24"], "private_ip": "10.1.9.9"}, "overlaps"),
        ({"private_ip": "192.0.2.9"}, "is outside the peer's"),
        ({"private_ip": ""}, r"private_ip '': is not a valid IPv4 address"),
        ({"public_ip": None}, "is required"),
        ({"public_ip": 7}, "public_ip 'int': is not text"),
        ({"cidr_blocks": []}, "is required"),
        *(
            ({"public_ip": text}, r"1 setting is wrong:\n  - peers\[0\].public_ip .*: is not a valid IPv4 address")
            for text in ("hello world", "vpn.example.com", "1.2.3.4/32", "1.2.3.4\n  leftid=9.9.9.9", " 192.0.2.1")
        ),
        ({"public_ip": "2001:db8::1"}, r"public_ip '2001:db8::1': is IPv6"),
        # A value to refuse, not an address to bind.
        ({"public_ip": "0.0.0.0"}, r"public_ip '0.0.0.0': is one of the addresses of 'this network'"),  # noqa: S104
        (
            {"public_ip": "10.1.1.254"},
            r"public_ip '10.1.1.254': is a private address \(of 10.0.0.0/8\), and the",
        ),
        ({"public_ip": "100.64.0.9"}, "is a private address"),
        ({"public_ip": "172.31.0.9"}, "is a private address"),
        *(
            ({"cidr_blocks": ["172.31.0.0/16", block]}, rf"peers\[0\].cidr_blocks\[1\] '{block}': contains ")
            for block in ("169.254.0.0/16", "127.0.0.0/8", "224.0.0.0/4", "128.0.0.0/1")
        ),
        ({"cidr_blocks": ["172.31.0.0/16", "192.0.2.0/24"]}, "public_ip of peer au '192.0.2.1': is in cidr_blocks of"),
    ],
)
def test_a_peer_that_cannot_be_is_refused(peer: dict[str, Any], rule: str) -> None:
    args: Any = {**GATEWAY, "peers": [{**PEER, **peer}]}
    with pytest.raises(SettingsError, match=rule):
        gateway_settings("vpn", args)


def test_a_peer_needs_no_private_address() -> None:
    for hidden in ({**PEER, "private_ip": None}, {key: value for key, value in PEER.items() if key != "private_ip"}):
        args: Any = {**GATEWAY, "peers": [hidden]}
        (peer,) = gateway_settings("vpn", args).peers
        assert peer.private_ip is None


def test_two_peers_share_neither_a_public_address_nor_a_range() -> None:
    other = {"name": "us", "public_ip": "192.0.2.1", "private_ip": "172.31.12.9", "cidr_blocks": ["172.31.12.0/24"]}
    with pytest.raises(SettingsError) as caught:
        # A plain dict, not a TypedDict.
        gateway_settings("vpn", {**GATEWAY, "peers": [PEER, other]})  # type: ignore[typeddict-item]
    said = [str(problem) for problem in caught.value.problems]
    assert len(said) == 2
    assert said[0].startswith("cidr_blocks of peer us '172.31.12.0/24': overlaps `cidr_blocks of peer au`")
    assert said[1].startswith("public_ip of peer us '192.0.2.1': is that of public_ip of peer au too")


def test_in_a_network_that_is_there_gateway_and_probe_host_have_an_address_each(article: dict[str, Any]) -> None:
    ids = {"vpc_id": VPC, "public_subnet_id": PUBLIC, "private_route_table_ids": [TABLE_A], "private_subnet_id": PUBLIC}
    side = {"name": "uk", "region": "eu-west-2", "cidr_block": "10.1.0.0/16", "existing_network": ids}
    addresses = dict.fromkeys(("gateway_private_ip", "probe_host_private_ip"), "10.1.1.9")
    (problem,) = _problems({**article, "left": {**side, **addresses}})
    assert problem.startswith("left.probe_host_private_ip '10.1.1.9': is the gateway's address too; ")


def test_more_peers_than_user_data_has_room_for_are_refused() -> None:
    peers = [
        {
            "name": f"p{number}",
            "public_ip": f"198.51.100.{number}",
            "private_ip": f"10.{number}.1.9",
            "cidr_blocks": [f"10.{number}.0.0/16"],
        }
        for number in range(2, 20)
    ]
    args: Any = {
        "name": "uk",
        "cidr_block": "10.1.0.0/16",
        "psk": "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip",
        "ssh_public_key": PUBLIC_KEY,
        "peers": peers[1:],
    }
    gateway_settings("site", args)
    with pytest.raises(SettingsError) as caught:
        gateway_settings("site", args | {"peers": peers})
    names = ", ".join(f"p{number}" for number in range(2, 20))
    assert [str(each) for each in caught.value.problems] == [
        f"additional_cidr_blocks, excluded_cidr_blocks, peers '1 ranges at uk, 18 at {names}, 18 pairs of ranges': "
        "take 218 places of the gateway's user data, which has 216 with secret_delivery ssm; a range takes 2, a peer "
        "10, a peer with several pairs of ranges 12 more, and each of these pairs 1; "
        "use fewer peers, or fewer or larger ranges, or exclude larger, aligned ones"
    ]
