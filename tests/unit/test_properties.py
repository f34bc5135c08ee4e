"""Proves with generated argument sets that all wrong settings are refused at once, each by its name.

For every other set the decisions and the user data keep the product's promises. Does not prove which resources the
engine gets (test_properties_plan.py), nor what AWS does with them.
"""

import base64
import json
import re
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components.decisions.secrets import GivenSecrets, StoredSecrets
from components.decisions.tunnel import ConnectionDecision, End, TunnelProfile, connect
from components.inputs.peer import peer_of
from components.inputs.problems import SettingsError
from components.inputs.settings import PairSettings, pair_settings
from components.inputs.site import SiteSettings
from components.user_data import USER_DATA_LIMIT, cloud_config, encode, site_files
from expectations import PATH
from tests.unit import ipsec_sections
from tests.unit.argument_sets import ArgumentSet, argument_sets, rows_missing
from tests.unit.gateway_documents import HOST_KEY, PPK, PSK, PUBLIC_KEY

SETS = 5 * settings().max_examples
"""Two thousand with the profile `whole` (`make test-properties`), otherwise five hundred."""
STORED = StoredSecrets(
    endpoint="ssm.ap-southeast-2.amazonaws.com",
    region="ap-southeast-2",
    psk_parameter="vpn-left-psk-parameter-1234567:1",
    ppk_parameter="vpn-left-ppk-parameter-1234567:1",
    host_key_parameter="vpn-left-host-key-parameter-1234567:1",
)
GIVEN = GivenSecrets(psk=PSK, ppk=PPK, host_private_key=HOST_KEY)


def outcome(made: ArgumentSet) -> PairSettings | SettingsError:
    """Return the settings or the error that refuses them. Any other exception fails the test."""
    try:
        return pair_settings("vpn", made.args)
    except SettingsError as error:
        return error


def check_error(made: ArgumentSet, error: SettingsError) -> None:
    """Check that the error names every wrong setting with its rule and remedy, and shows no secret."""
    assert error.problems
    for problem in error.problems:
        assert problem.setting
        assert problem.rule
        assert problem.remedy
        assert f"- {problem.setting} {problem.value!r}: {problem.rule}; {problem.remedy}" in str(error)
    assert HOST_KEY not in str(error)
    assert not isinstance(made.args.get("psk"), str) or len(made.args["psk"]) < 5 or made.args["psk"] not in str(error)
    reported = {problem.setting for problem in error.problems}
    for setting in made.named or ():
        assert any(re.match(rf"{re.escape(setting)}($|[\[. ])", each) for each in reported), (setting, reported)


def check_site(site: SiteSettings) -> None:
    """Check the addresses of one site with independent arithmetic."""
    check_ranges(site)
    if site.public_subnet_cidr_block is None:
        assert site.existing_network
        assert not site.private_subnet_cidr_blocks
        assert _usable(int(site.gateway_private_ip), site.cidr_block)
        return
    subnets = [site.public_subnet_cidr_block, *site.private_subnet_cidr_blocks]
    assert site.private_subnet_cidr_blocks
    for subnet in subnets:
        assert site.cidr_block.network_address <= subnet.network_address <= subnet.broadcast_address
        assert subnet.broadcast_address <= site.cidr_block.broadcast_address
        assert 16 <= subnet.prefixlen <= 28
    for one, other in combinations(subnets, 2):
        assert one.broadcast_address < other.network_address or other.broadcast_address < one.network_address
    assert _usable(int(site.gateway_private_ip), site.public_subnet_cidr_block)
    if site.probe_host_private_ip is not None:
        assert sum(_usable(int(site.probe_host_private_ip), subnet) for subnet in site.private_subnet_cidr_blocks) == 1


def check_ranges(site: SiteSettings) -> None:
    """Check that the tunnel carries exactly the site's ranges without the excluded ones, and both ends of the proof."""
    for one, other in combinations([*site.ranges, *site.excluded_cidr_blocks], 2):
        assert not one.overlaps(other)
    assert all(any(part.subnet_of(network) for network in site.cidr_blocks) for part in site.ranges)
    whole, tunnelled, excluded = (
        sum(network.num_addresses for network in networks)
        for networks in (site.cidr_blocks, site.ranges, site.excluded_cidr_blocks)
    )
    assert whole == tunnelled + excluded
    for address in (site.gateway_private_ip, site.probe_host_private_ip):
        assert address is None or any(address in network for network in site.ranges)


def _usable(address: int, subnet: IPv4Network) -> bool:
    return int(subnet.network_address) + 4 <= address < int(subnet.broadcast_address)


def ends(made: PairSettings) -> tuple[End, End]:
    """Return both ends as the components make them, with example addresses as Elastic IPs."""
    left, right = (
        End(
            site=site.name,
            public_ip=public_ip,
            private_ip=str(site.gateway_private_ip),
            cidr_blocks=tuple(map(str, site.ranges)),
        )
        for site, public_ip in ((made.left, "203.0.113.10"), (made.right, "198.51.100.200"))
    )
    return left, right


def check_mirror(one: ConnectionDecision, other: ConnectionDecision, local: End, peer: End) -> None:
    """Check that each gateway's own side equals the peer's side on the other gateway, and all else is the same."""
    own, peers = ipsec_sections.loaded(one.sections), ipsec_sections.loaded(other.sections)
    ipsec_sections.check_mirror(own, peers)
    assert len(own) == len(local.cidr_blocks) * len(peer.cidr_blocks)
    assert {each["leftid"] for each in own.values()} == {local.public_ip}
    assert {each["right"] for each in own.values()} == {peer.public_ip}


def check_user_data(made: PairSettings, side: str, secrets: StoredSecrets | GivenSecrets, *, hidden: bool) -> None:
    """Check that one side's user data is small enough for EC2, and has secrets only if it delivers them.

    If the peer is `hidden`, its private address is unknown, as that of a peer of a `VpnGateway` may be.
    """
    local, other = (made.left, made.right) if side == "left" else (made.right, made.left)
    peer = peer_of(other, IPv4Address("198.51.100.200"))
    files = site_files(
        local,
        [replace(peer, private_ip=None) if hidden else peer],
        made.profile,
        made.administrator_cidr_blocks,
        public_ip="203.0.113.10",
        peer_public_ips=["198.51.100.200"],
        secrets=secrets,
        host_public_key=PUBLIC_KEY,
    )
    (expected,) = json.loads(next(file.text for file in files if file.path == PATH))["peers"]
    assert expected["private_ip"] == ("" if hidden else str(peer.private_ip))
    text = cloud_config("host", files)
    assert len(base64.b64decode(encode(text))) <= USER_DATA_LIMIT
    assert yaml.safe_load(text)["hostname"] == "host"
    assert (PSK in text) == isinstance(secrets, GivenSecrets)
    assert ("PRIVATE KEY" in text) == isinstance(secrets, GivenSecrets)


def check_plan(made: PairSettings) -> None:
    """Check all decisions about both sides."""
    check_site(made.left)
    check_site(made.right)
    assert not any(one.overlaps(other) for one in made.left.cidr_blocks for other in made.right.cidr_blocks)
    assert made.left.name != made.right.name
    assert made.profile in TunnelProfile
    assert 30 <= made.verify_timeout_seconds <= 3600
    assert not made.verify or made.administrator_cidr_blocks
    left, right = ends(made)
    one, other = (
        connect(*sides, made.profile, postquantum=made.postquantum) for sides in ((left, right), (right, left))
    )
    check_mirror(one, other, left, right)
    check_mirror(other, one, right, left)


def test_every_argument_has_right_and_wrong_values() -> None:
    assert rows_missing() == []


def test_argument_sets_are_refused_by_name_or_keep_the_promises() -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=SETS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        made=argument_sets,
        rendered=st.sampled_from([None, None, None, None, None, None, "left", "right"]),
        inline=st.booleans(),
        hidden=st.booleans(),
    )
    def hold(made: ArgumentSet, rendered: str | None, inline: bool, hidden: bool) -> None:
        result = outcome(made)
        kind = "refused" if isinstance(result, SettingsError) else "planned"
        seen[kind] += 1
        if isinstance(result, SettingsError):
            assert made.named != frozenset(), str(result)
            check_error(made, result)
            return
        assert not made.named, f"no problem names {made.named}"
        check_plan(result)
        if rendered is not None:
            check_user_data(result, rendered, GIVEN if inline else STORED, hidden=hidden)

    hold()
    assert seen.total() >= SETS
    assert min(seen["refused"], seen["planned"]) >= SETS / 4, seen
