"""Arguments -> frozen settings: every default filled in, every rule checked, all problems raised at once."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final, TypedDict

from ..decisions.addressing import Problem, check_apart
from ..decisions.tunnel import TunnelProfile
from .arguments import PeerArgs, SecretDelivery, SiteArgs, VpnGatewayArgs, VpnGatewayPairArgs
from .peer import PeerSettings, check_peers, check_range_pairs, peer_of, read_peer
from .psk import psk_weakness
from .reader import SECRET, Reader, SettingsError
from .room import check_room
from .site import (
    Draft,
    Placement,
    SiteSettings,
    check_ssh_key,
    read_placement,
    read_site,
)

DEFAULT_VERIFY_TIMEOUT: Final = 600
LONGEST_RESOURCE_NAME: Final = 40
"""An IAM role's name has at most 64 characters, and Pulumi adds `-role-` and seven random ones to the side's."""

_RESOURCE_NAME: Final = r"(?!aws|ssm|sg-)[a-z0-9_.-]+"
"""Names of IAM roles, SSM parameters and security groups are made of it: what AWS takes in all three, in any case."""


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """Everything decided about one `VpnGateway`."""

    site: SiteSettings
    peers: tuple[PeerSettings, ...]
    profile: TunnelProfile
    secret_delivery: SecretDelivery
    administrators: tuple[IPv4Network, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """Everything decided about one `VpnGatewayPair`."""

    left: SiteSettings
    right: SiteSettings
    left_placement: Placement
    right_placement: Placement
    profile: TunnelProfile
    secret_delivery: SecretDelivery
    administrators: tuple[IPv4Network, ...]
    verify: bool
    verify_timeout: int
    """Seconds."""
    tags: Mapping[str, str]


class _Common(TypedDict):
    profile: TunnelProfile
    secret_delivery: SecretDelivery
    administrators: tuple[IPv4Network, ...]
    tags: Mapping[str, str]


def gateway_settings(resource_name: str, args: VpnGatewayArgs) -> GatewaySettings:
    """Return the settings of a `VpnGateway`; raises `SettingsError` with every problem."""
    problems: list[Problem] = []
    reader = Reader("", args, frozenset(VpnGatewayArgs.__annotations__), problems)
    _check_resource_name(reader, resource_name, resource_name)
    draft = read_site(reader)
    peer_readers = reader.nested_list("peers", frozenset(PeerArgs.__annotations__))
    peers = tuple(peer for each in peer_readers if (peer := read_peer(each)) is not None)
    if not peer_readers:
        reader.report("peers", "", "is required", "give at least one gateway at the other end")
    check_peers(reader, draft, peers)
    _check_secrets(reader)
    _require(reader, "psk", "ssh_public_key")
    common = _common(reader)
    _check_boundary(reader, common)
    if draft.site and not problems:
        ranges = "additional_cidr_blocks, excluded_cidr_blocks, peers"
        check_room(reader, draft.site, peers, common["administrators"], common["secret_delivery"], ranges=ranges)
    if problems or draft.site is None:
        raise SettingsError(f"VpnGateway {resource_name!r}", problems)
    return GatewaySettings(site=draft.site, peers=peers, **common)


def pair_settings(resource_name: str, args: VpnGatewayPairArgs) -> PairSettings:
    """Return the settings of a `VpnGatewayPair`; raises `SettingsError` with every problem."""
    problems: list[Problem] = []
    reader = Reader("", args, frozenset(VpnGatewayPairArgs.__annotations__), problems)
    known = frozenset(SiteArgs.__annotations__)
    left_reader, right_reader = reader.nested("left", known), reader.nested("right", known)
    left, right = read_site(left_reader), read_site(right_reader)
    placements = read_placement(left_reader, left), read_placement(right_reader, right)
    _check_resource_name(reader, resource_name, *(f"{resource_name}-{draft.name or 'side'}" for draft in (left, right)))
    _check_sides(reader, left, right)
    _check_secrets(reader)
    verify = reader.flag("verify", default=True)
    timeout = reader.whole(
        "verify_timeout_seconds", "seconds", default=DEFAULT_VERIFY_TIMEOUT, smallest=30, largest=3600
    )
    common = _common(reader)
    for side in (left_reader, right_reader):
        _check_boundary(side, common)
    _check_verify(reader, verify=verify)
    if left.site and right.site and not problems:
        # The ranges are those of both sides: what is too many for one gateway is too many for the other.
        ranges = ", ".join(
            f"{side}.{key}" for side in ("left", "right") for key in ("additional_cidr_blocks", "excluded_cidr_blocks")
        )
        check_room(
            reader,
            left.site,
            [peer_of(right.site)],
            common["administrators"],
            common["secret_delivery"],
            ranges=ranges,
        )
    if problems or left.site is None or right.site is None:
        raise SettingsError(f"VpnGatewayPair {resource_name!r}", problems)
    return PairSettings(
        left=left.site,
        right=right.site,
        left_placement=placements[0],
        right_placement=placements[1],
        verify=verify,
        verify_timeout=timeout,
        **common,
    )


def _common(reader: Reader) -> _Common:
    return {
        "profile": reader.choice("profile", TunnelProfile, default=TunnelProfile.MODERN),
        "secret_delivery": reader.choice("secret_delivery", SecretDelivery, default=SecretDelivery.SSM),
        "administrators": _administrators(reader),
        "tags": reader.tags("tags"),
    }


def _administrators(reader: Reader) -> tuple[IPv4Network, ...]:
    networks = [network for _, network in reader.networks("administrator_cidr_blocks")]
    for network, times in Counter(networks).items():
        if times > 1:
            rule = "is given more than once, and a security group takes a rule once"
            reader.report("administrator_cidr_blocks", network, rule, "give each range once")
    return tuple(networks)


def _check_boundary(reader: Reader, common: _Common) -> None:
    boundary = reader.given("permissions_boundary_arn")
    if boundary is not None and common["secret_delivery"] is SecretDelivery.USER_DATA:
        rule, remedy = "bounds the role of secret_delivery ssm, and with user-data there is none", "leave it out"
        reader.report(reader.setting("permissions_boundary_arn"), boundary, rule, remedy)


def _check_sides(reader: Reader, left: Draft, right: Draft) -> None:
    if left.name is not None and left.name == right.name:
        reader.report("right.name", right.name, "is the name of the left side too", "name the sides differently")
    reader.problems += check_apart(left.networks, right.networks)
    if left.site and right.site:
        setting = "left.excluded_cidr_blocks and right.excluded_cidr_blocks"
        check_range_pairs(reader, setting, len(left.site.tunnelled), len(right.site.tunnelled))


def _check_secrets(reader: Reader) -> None:
    reader.check_input_text("psk", "ssh_private_key", "ssh_public_key")
    psk = reader.given("psk")
    weakness = psk_weakness(psk) if isinstance(psk, str) else None
    if weakness is not None:
        reader.report("psk", SECRET, *weakness)
    check_ssh_key(reader, "ssh")


def _check_verify(reader: Reader, *, verify: bool) -> None:
    private, public = reader.given("ssh_private_key"), reader.given("ssh_public_key")
    if private is not None and public is None:
        reader.report("ssh_private_key", SECRET, "needs ssh_public_key", "give both, or none to have both generated")
    if not verify:
        return
    if reader.given("administrator_cidr_blocks") in (None, [], ()):
        remedy = "give administrator_cidr_blocks the range of the host that runs Pulumi, or set verify to false"
        reader.report("verify", "true", "needs SSH, and no administrator_cidr_blocks admit any", remedy)
    if public is not None and private is None:
        remedy = "give ssh_private_key too, or set verify to false"
        reader.report("verify", "true", "cannot log in with ssh_public_key alone", remedy)


def _check_resource_name(reader: Reader, given: str, *names: str) -> None:
    if not re.fullmatch(_RESOURCE_NAME, given, re.IGNORECASE):
        rule = "cannot begin the names of IAM roles, SSM parameters and security groups"
        remedy = "use letters, digits, '.', '_' and '-', not beginning with aws, ssm or sg-"
        reader.report("resource name", given, rule, remedy)
    for name in (name for name in names if len(name) > LONGEST_RESOURCE_NAME):
        remedy = f"use a resource name of at most {LONGEST_RESOURCE_NAME} characters (with the side's name)"
        reader.report("resource name", name, "is too long for the IAM role's name made of it", remedy)


def _require(reader: Reader, *keys: str) -> None:
    for key in keys:
        if reader.given(key) is None:
            reader.report(reader.setting(key), "", "is required", "give a value, an Output maybe")
