"""Turns arguments into frozen settings: every default is filled in, every rule checked, all problems raised at once."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Network
from typing import Final

import pulumi

from ..decisions.addressing import check_apart
from ..decisions.problems import SECRET, Problem
from ..decisions.tunnel import PROFILES, TunnelProfile
from ..decisions.updates import TIME, WINDOW_MINUTES, later, windows_overlap
from .arguments import (
    MonitoringArgs,
    PairMonitoringArgs,
    PeerArgs,
    SecretDelivery,
    SiteArgs,
    VpnGatewayArgs,
    VpnGatewayPairArgs,
)
from .monitoring import MonitoringSettings, check_monitoring, read_monitoring
from .peer import PeerSettings, check_alone, check_peers, check_range_pairs, peer_of, read_peer
from .problems import SettingsError
from .psk import equal_keys, ppk_weakness, psk_weakness
from .reader import Reader
from .room import check_room
from .site import (
    Draft,
    Placement,
    SiteSettings,
    read_authorized_keys,
    read_placement,
    read_site,
    read_ssh_key,
)

DEFAULT_VERIFY_TIMEOUT: Final = 600
LONGEST_RESOURCE_NAME: Final = 40
"""The name of an IAM role has at most 64 characters. Pulumi adds `-role-` and seven random ones to a gateway's."""

_RESOURCE_NAME: Final = r"(?!aws|ssm|sg-)[a-z0-9_.-]+"
"""What AWS takes, in upper or lower case, in the names of IAM roles, SSM parameters and security groups alike."""


@dataclass(frozen=True, kw_only=True)
class CommonSettings:
    """The settings that a pair and each of its gateways have in common."""

    profile: TunnelProfile
    secret_delivery: SecretDelivery
    administrator_cidr_blocks: tuple[IPv4Network, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class GatewaySettings(CommonSettings):
    """The settings of one `VpnGateway`."""

    site: SiteSettings
    peers: tuple[PeerSettings, ...]
    psk: pulumi.Input[str] | None
    """None: there are no peers."""
    ppk: pulumi.Input[str] | None
    """None: the tunnels use no postquantum pre-shared key."""
    ssh_public_key: pulumi.Input[str]
    ssh_private_key: pulumi.Input[str] | None
    """With it, the running gateway is changed over SSH. None: a change replaces its instance."""
    ssh_authorized_keys: tuple[pulumi.Input[str], ...] = ()
    """More public keys that log in; none without `ssh_private_key`."""
    monitoring: MonitoringSettings | None = None
    """None: nothing is published."""
    ssh_timeout: int = DEFAULT_VERIFY_TIMEOUT
    """Seconds that SSH may take to answer."""
    proves_key: bool = False
    """Whether each peer has the connection by which `vpn-verify` proves the pre-shared key. Only a pair knows that: the
    peer of a single gateway may be anything, and its answer would look like another key."""

    @property
    def changes_in_place(self) -> bool:
        """Whether the running gateway can be changed."""
        return self.ssh_private_key is not None

    @property
    def peer_ranges(self) -> tuple[IPv4Network, ...]:
        """The ranges of all peers."""
        return tuple(each for peer in self.peers for each in peer.ranges)


@dataclass(frozen=True, kw_only=True)
class PairSettings(CommonSettings):
    """The settings of one `VpnGatewayPair`."""

    left: SiteSettings
    right: SiteSettings
    left_placement: Placement
    right_placement: Placement
    psk: pulumi.Input[str] | None
    """None: generated."""
    ppk: pulumi.Input[str] | None
    """None: generated if `postquantum`."""
    postquantum: bool
    """Whether the tunnel insists on a postquantum pre-shared key."""
    ssh_private_key: pulumi.Input[str] | None
    ssh_public_key: pulumi.Input[str] | None
    """None: both halves are generated."""
    ssh_authorized_keys: tuple[pulumi.Input[str], ...]
    """More public keys that log in; none without `verify`."""
    verify: bool
    verify_timeout_seconds: int
    left_monitoring: MonitoringSettings | None
    right_monitoring: MonitoringSettings | None
    """`dashboard` of both: whether the pair has a dashboard."""

    def gateway(
        self,
        site: SiteSettings,
        peer: SiteSettings,
        *,
        peer_public_ip: pulumi.Output[str],
        psk: pulumi.Input[str],
        ppk: pulumi.Input[str] | None,
        ssh_public_key: pulumi.Input[str],
        ssh_private_key: pulumi.Input[str] | None,
    ) -> GatewaySettings:
        """Return the settings of the gateway at `site`. The keyword arguments are outputs of other resources."""
        common = {each.name: getattr(self, each.name) for each in fields(CommonSettings)}
        peers = (peer_of(peer, peer_public_ip),)
        monitoring = self.left_monitoring if site is self.left else self.right_monitoring
        return GatewaySettings(
            site=site,
            peers=peers,
            psk=psk,
            ppk=ppk,
            ssh_public_key=ssh_public_key,
            ssh_private_key=ssh_private_key if self.verify else None,
            ssh_authorized_keys=self.ssh_authorized_keys,
            ssh_timeout=self.verify_timeout_seconds,
            proves_key=self.verify,
            monitoring=None if monitoring is None else replace(monitoring, dashboard=False),
            **common,
        )


def gateway_settings(resource_name: str, args: VpnGatewayArgs) -> GatewaySettings:
    """Return the settings of a `VpnGateway`; raises `SettingsError` with every problem."""
    problems: list[Problem] = []
    reader = Reader("", args, frozenset(VpnGatewayArgs.__annotations__), problems)
    _check_resource_name(reader, resource_name, resource_name)
    draft = read_site(reader)
    peer_readers = reader.nested_list("peers", frozenset(PeerArgs.__annotations__))
    peers = tuple(peer for each in peer_readers if (peer := read_peer(each)) is not None)
    alone = reader.value("peers") in (None, [], ())
    check_peers(reader, draft, peers)
    psk = _key(reader, "psk", psk_weakness)
    ssh_private_key, ssh_public_key = read_ssh_key(reader, "ssh")
    _check_login(reader)
    login = reader.value("ssh_private_key") is not None
    more_keys = read_authorized_keys(reader, login=login, remedy="give `ssh_private_key`")
    _check_update_login(reader)
    _require(reader, "ssh_public_key", *(() if alone else ("psk",)))
    if alone:
        check_alone(reader)
    common = _common(reader)
    ppk = _ppk(reader, common.profile)
    _check_boundary(reader, common)
    monitoring = read_monitoring(reader, frozenset(MonitoringArgs.__annotations__), {"alarm_topic_arns": None})
    check_monitoring(reader, common.secret_delivery, login=login, remedy="give `ssh_private_key`")
    if draft.site and not problems:
        ranges = "additional_cidr_blocks, excluded_cidr_blocks, peers"
        check_room(
            reader,
            draft.site,
            {peer.name: peer.ranges for peer in peers},
            common.administrator_cidr_blocks,
            common.secret_delivery,
            ranges=ranges,
        )
    if problems or draft.site is None or ssh_public_key is None:
        raise SettingsError(f"VpnGateway {resource_name!r}", problems)
    return GatewaySettings(
        site=draft.site,
        peers=peers,
        psk=psk,
        ppk=ppk,
        ssh_public_key=ssh_public_key,
        ssh_private_key=ssh_private_key,
        ssh_authorized_keys=more_keys,
        monitoring=(monitoring or {}).get("alarm_topic_arns"),
        **vars(common),
    )


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
    psk = _key(reader, "psk", psk_weakness)
    ssh_private_key, ssh_public_key = read_ssh_key(reader, "ssh")
    postquantum = reader.flag("postquantum", default=True)
    verify = reader.flag("verify", default=True)
    timeout = reader.whole(
        "verify_timeout_seconds", "seconds", default=DEFAULT_VERIFY_TIMEOUT, smallest=30, largest=3600
    )
    common = _common(reader)
    ppk = _ppk(reader, common.profile)
    if ppk is not None and not postquantum:
        reader.report("ppk", SECRET, "is not used when `postquantum` is false", "leave one of them out")
    for side in (left_reader, right_reader):
        _check_boundary(side, common)
    _check_verify(reader, verify=verify)
    more_keys = read_authorized_keys(reader, login=verify, remedy="set `verify` to true")
    left_region, right_region = (each.region or None for each in placements)
    topics = {"left_alarm_topic_arns": left_region, "right_alarm_topic_arns": right_region}
    monitoring = read_monitoring(reader, frozenset(PairMonitoringArgs.__annotations__), topics) or {}
    check_monitoring(reader, common.secret_delivery, login=verify, remedy="set `verify` to true")
    _check_update_windows(reader, left_reader, right_reader, verify=verify)
    if left.site and right.site and not problems:
        ranges = ", ".join(
            f"{side}.{key}" for side in ("left", "right") for key in ("additional_cidr_blocks", "excluded_cidr_blocks")
        )
        for here, there in ((left.site, right.site), (right.site, left.site)):
            # Both gateways have nearly the same user data: one problem tells enough.
            if not problems:
                check_room(
                    reader,
                    here,
                    {there.name: there.ranges},
                    common.administrator_cidr_blocks,
                    common.secret_delivery,
                    ranges=ranges,
                )
    if problems or left.site is None or right.site is None:
        raise SettingsError(f"VpnGatewayPair {resource_name!r}", problems)
    return PairSettings(
        left=left.site,
        right=right.site,
        left_placement=placements[0],
        right_placement=placements[1],
        psk=psk,
        ppk=ppk,
        postquantum=postquantum and PROFILES[common.profile].ike_version > 1,
        ssh_private_key=ssh_private_key,
        ssh_public_key=ssh_public_key,
        ssh_authorized_keys=more_keys,
        verify=verify,
        verify_timeout_seconds=timeout,
        left_monitoring=monitoring.get("left_alarm_topic_arns"),
        right_monitoring=monitoring.get("right_alarm_topic_arns"),
        **vars(common),
    )


def _common(reader: Reader) -> CommonSettings:
    return CommonSettings(
        profile=reader.choice("profile", TunnelProfile, default=TunnelProfile.MODERN),
        secret_delivery=reader.choice("secret_delivery", SecretDelivery, default=SecretDelivery.SSM),
        administrator_cidr_blocks=_administrators(reader),
        tags=reader.tags("tags"),
    )


def _administrators(reader: Reader) -> tuple[IPv4Network, ...]:
    blocks = [block for _, block in reader.networks("administrator_cidr_blocks")]
    for block, times in Counter(blocks).items():
        if times > 1:
            rule = "is given more than once, and a security group takes a rule once"
            reader.report("administrator_cidr_blocks", block, rule, "give each CIDR block once")
    return tuple(blocks)


def _check_boundary(reader: Reader, common: CommonSettings) -> None:
    boundary = reader.value("permissions_boundary_arn")
    if boundary is not None and common.secret_delivery is SecretDelivery.USER_DATA:
        rule, remedy = "bounds the role of `secret_delivery` ssm, and with user-data there is none", "leave it out"
        reader.report(reader.setting("permissions_boundary_arn"), boundary, rule, remedy)


def _check_sides(reader: Reader, left: Draft, right: Draft) -> None:
    if left.name is not None and left.name == right.name:
        reader.report("right.name", right.name, "is the name of the left side too", "name the sides differently")
    addresses = [draft.site.allocation_id for draft in (left, right) if draft.site]
    if all(isinstance(each, str) for each in addresses) and len(set(addresses)) < len(addresses):
        reader.report("right.allocation_id", addresses[0], "is that of the left side too", "give each side its own")
    reader.problems += check_apart(left.cidr_blocks, right.cidr_blocks)
    if left.site and right.site:
        setting = "left.excluded_cidr_blocks and right.excluded_cidr_blocks"
        check_range_pairs(reader, setting, len(left.site.ranges), len(right.site.ranges))


def _key(reader: Reader, setting: str, weakness: Callable[[str], tuple[str, str] | None]) -> pulumi.Input[str] | None:
    key = reader.input_text(setting)
    found = weakness(key) if isinstance(key, str) else None
    if found is not None:
        reader.report(setting, SECRET, *found)
    return key


def _ppk(reader: Reader, profile: TunnelProfile) -> pulumi.Input[str] | None:
    ppk = _key(reader, "ppk", ppk_weakness)
    psk = reader.value("psk")
    equal = equal_keys(psk, ppk) if isinstance(psk, str) and isinstance(ppk, str) else None
    if equal is not None:
        reader.report("ppk", SECRET, *equal)
    if ppk is not None and PROFILES[profile].ike_version == 1:
        rule = f"is for IKEv2 (RFC 8784), and profile {profile.value} is IKEv1"
        reader.report("ppk", SECRET, rule, "leave it out, or use profile modern")
    return ppk


def _check_login(reader: Reader) -> None:
    """Check that the host that runs Pulumi may log in to a `VpnGateway` that is to be changed in place."""
    if reader.value("ssh_private_key") is not None and reader.value("administrator_cidr_blocks") in (None, [], ()):
        remedy = "give `administrator_cidr_blocks` the range of the host that runs Pulumi, or leave the key out"
        reader.report("ssh_private_key", SECRET, "needs SSH, and no `administrator_cidr_blocks` admit any", remedy)


def _check_verify(reader: Reader, *, verify: bool) -> None:
    private, public = reader.value("ssh_private_key"), reader.value("ssh_public_key")
    if private is not None and public is None:
        reader.report(
            "ssh_private_key", SECRET, "needs `ssh_public_key`", "give both, or neither to have both generated"
        )
    if not verify:
        return
    if reader.value("administrator_cidr_blocks") in (None, [], ()):
        remedy = "give `administrator_cidr_blocks` the range of the host that runs Pulumi, or set `verify` to false"
        reader.report("verify", "true", "needs SSH, and no `administrator_cidr_blocks` admit any", remedy)
    if public is not None and private is None:
        remedy = "give `ssh_private_key` too, or set `verify` to false"
        reader.report("verify", "true", "cannot log in with `ssh_public_key` alone", remedy)


def _check_update_login(reader: Reader) -> None:
    window = reader.value("update_window")
    if window is not None and reader.value("ssh_private_key") is None:
        rule = "needs SSH: its files do not fit into the user data, and without `ssh_private_key` nothing brings them"
        reader.report("update_window", window, rule, "give `ssh_private_key`, or leave the window out")


def _check_update_windows(reader: Reader, left: Reader, right: Reader, *, verify: bool) -> None:
    """Check that the sides of a pair are updated one after the other. A window that is no time is reported already."""
    given = {side.setting("update_window"): side.value("update_window") for side in (left, right)}
    times = {setting: time for setting, time in given.items() if _is_time(time)}
    for setting, time in given.items():
        if time is None and times:
            reader.report(setting, "", "is required: the other side has a window", "give both sides one, or neither")
        if setting in times and not verify:
            rule = "needs SSH: its files do not fit into the user data, and `verify` is false"
            reader.report(setting, time, rule, "set `verify` to true, or leave the windows of both sides out")
    one, other = given.values()
    if len(times) > 1 and windows_overlap(one, other):
        rule = f"overlaps the other side's, which is the two hours from {one}"
        remedy = f"choose a time at least two hours from it, e.g. {later(one, WINDOW_MINUTES)}"
        reader.report(right.setting("update_window"), other, rule, remedy)


def _is_time(window: object) -> bool:
    return isinstance(window, str) and re.fullmatch(TIME, window) is not None


def _check_resource_name(reader: Reader, resource_name: str, *names: str) -> None:
    """Check the name of a component, and the lengths of the names of its gateways."""
    if not re.fullmatch(_RESOURCE_NAME, resource_name, re.IGNORECASE):
        rule = "cannot begin the names of IAM roles, SSM parameters and security groups"
        remedy = "use letters, digits, '.', '_' and '-', not beginning with aws, ssm or sg-"
        reader.report("resource name", resource_name, rule, remedy)
    for name in (name for name in names if len(name) > LONGEST_RESOURCE_NAME):
        remedy = f"use a resource name of at most {LONGEST_RESOURCE_NAME} characters (with the side's name)"
        reader.report("resource name", name, "is too long for the name of an IAM role that begins with it", remedy)


def _require(reader: Reader, *keys: str) -> None:
    for key in keys:
        if reader.value(key) is None:
            reader.report(reader.setting(key), "", "is required", "give a value or an Output")
