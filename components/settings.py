"""Arguments -> frozen settings: every default filled in, every rule checked, all problems raised at once."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final, TypedDict

from .addressing import (
    Problem,
    check_disjoint,
    check_host,
    check_subnet,
    check_vpc,
    default_gateway_address,
    default_subnets,
)
from .arguments import PeerArgs, SecretDelivery, SiteArgs, VpnGatewayArgs, VpnGatewayPairArgs
from .reader import SECRET, Reader, SettingsError
from .tunnel import TunnelProfile, psk_weakness

DEFAULT_INSTANCE_TYPE: Final = "t3.nano"
DEFAULT_IMAGE: Final = "debian-13"
DEFAULT_VERIFY_TIMEOUT: Final = 600
LONGEST_RESOURCE_NAME: Final = 40
"""An IAM role's name has at most 64 characters, and Pulumi adds `-role-` and seven random ones to the side's."""

_RESOURCE_NAME: Final = r"(?!aws|ssm|sg-)[a-z0-9_.-]+"
"""Names of IAM roles, SSM parameters and security groups are made of it: what AWS takes in all three, in any case."""

_PUBLIC_KEY: Final = r"ssh-(ed25519|rsa) AAAA[0-9A-Za-z+/]*=*( .*)?"
"""What EC2 imports (Amazon EC2 user guide, "Create a key pair"), as one line of authorized_keys."""
_HOST_PUBLIC_KEY: Final = r"ssh-ed25519 AAAA[0-9A-Za-z+/]*=*( .*)?"

_NAME: Final = r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?"
_NAME_REMEDY: Final = "use lower-case letters, digits and hyphens, at most 20, e.g. uk"
_IMAGE: Final = r"debian-1[23]|ami-([0-9a-f]{8}|[0-9a-f]{17})"
_INSTANCE_TYPE: Final = r"[a-z][a-z0-9-]*\.[a-z0-9-]+"
_REGION: Final = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"
_ZONE: Final = r"[a-z]{2,}(-[a-z]+)+-[0-9]+(-[a-z]+-[0-9]+)?[a-z]"


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """Everything decided about one site, whoever is at the other end."""

    name: str
    vpc: IPv4Network
    public_subnet: IPv4Network
    private_subnets: tuple[IPv4Network, ...]
    availability_zones: tuple[str, ...]
    """Of the public subnet, then of the private ones, in turn; empty: AWS chooses."""
    gateway_address: IPv4Address
    probe_host_address: IPv4Address | None
    instance_type: str
    image: str


@dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """What is known of the other end before anything exists."""

    name: str
    private_address: IPv4Address
    networks: tuple[IPv4Network, ...]


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
class Placement:
    """Where, and as whom, one side is deployed."""

    region: str
    aws_profile: str | None
    assume_role_arn: str | None


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


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """A site as far as it could be read."""

    name: str | None
    vpc: IPv4Network | None
    site: SiteSettings | None


def gateway_settings(resource_name: str, args: VpnGatewayArgs) -> GatewaySettings:
    """Return the settings of a `VpnGateway`; raises `SettingsError` with every problem."""
    problems: list[Problem] = []
    reader = Reader("", args, frozenset(VpnGatewayArgs.__annotations__), problems)
    _check_resource_name(reader, resource_name, resource_name)
    draft = _site(reader)
    peer_readers = reader.nested_list("peers", frozenset(PeerArgs.__annotations__))
    peers = tuple(peer for each in peer_readers if (peer := _peer(each)) is not None)
    if not peer_readers:
        reader.report("peers", "", "is required", "give at least one gateway at the other end")
    _check_peers(reader, draft, peers)
    _check_secrets(reader)
    _require(reader, "psk", "ssh_public_key")
    common = _common(reader)
    if problems or draft.site is None:
        raise SettingsError(f"VpnGateway {resource_name!r}", problems)
    return GatewaySettings(site=draft.site, peers=peers, **common)


def pair_settings(resource_name: str, args: VpnGatewayPairArgs) -> PairSettings:
    """Return the settings of a `VpnGatewayPair`; raises `SettingsError` with every problem."""
    problems: list[Problem] = []
    reader = Reader("", args, frozenset(VpnGatewayPairArgs.__annotations__), problems)
    known = frozenset(SiteArgs.__annotations__)
    left_reader, right_reader = reader.nested("left", known), reader.nested("right", known)
    left, right = _site(left_reader), _site(right_reader)
    placements = _placement(left_reader, left), _placement(right_reader, right)
    _check_resource_name(reader, resource_name, *(f"{resource_name}-{draft.name or 'side'}" for draft in (left, right)))
    _check_sides(reader, left, right)
    _check_secrets(reader)
    verify = reader.flag("verify", default=True)
    timeout = reader.seconds("verify_timeout_seconds", default=DEFAULT_VERIFY_TIMEOUT, smallest=30, largest=3600)
    common = _common(reader)
    _check_verify(reader, verify=verify)
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


def _site(reader: Reader) -> _Draft:
    before = len(reader.problems)
    name = reader.text("name", pattern=_NAME, remedy=_NAME_REMEDY)
    instance_type = reader.text(
        "instance_type", pattern=_INSTANCE_TYPE, remedy="use e.g. t3.nano", default=DEFAULT_INSTANCE_TYPE
    )
    image = reader.text(
        "image",
        pattern=_IMAGE,
        rule="is no image that is known here",
        remedy="use debian-13, debian-12 or ami-…",
        default=DEFAULT_IMAGE,
    )
    zones = reader.texts("availability_zones", pattern=_ZONE, remedy="use e.g. eu-west-2a")
    vpc = reader.network("cidr_block", required=True)
    subnets = _subnets(reader, vpc)
    gateway, probe_host = _hosts(reader, subnets)
    _check_pair_of(reader, "host_private_key", "host_public_key")
    _check_public_key(reader, "host_public_key", _HOST_PUBLIC_KEY, "ssh-ed25519 AAAA…")
    complete = len(reader.problems) == before and name and instance_type and image
    if not complete or vpc is None or subnets is None or gateway is None:
        return _Draft(name=name, vpc=vpc, site=None)
    site = SiteSettings(
        name=str(name),
        vpc=vpc,
        public_subnet=subnets[0],
        private_subnets=subnets[1],
        availability_zones=zones,
        gateway_address=gateway,
        probe_host_address=probe_host,
        instance_type=str(instance_type),
        image=str(image),
    )
    return _Draft(name=name, vpc=vpc, site=site)


def _subnets(reader: Reader, vpc: IPv4Network | None) -> tuple[IPv4Network, tuple[IPv4Network, ...]] | None:
    """Read the public subnet and the private ones, check them, fill in the defaults."""
    public_setting, private_setting = "public_subnet_cidr_block", "private_subnet_cidr_blocks"
    public, private = reader.network(public_setting), reader.networks(private_setting)
    if vpc is None:
        return None
    reader.problems += check_vpc(reader.setting("cidr_block"), vpc)
    named = [*([(reader.setting(public_setting), public)] if public else []), *private]
    for setting, subnet in named:
        reader.problems += check_subnet(setting, subnet, vpc)
    reader.problems += check_disjoint(named)
    defaults = default_subnets(vpc)
    if defaults is None:
        reader.report(reader.setting("cidr_block"), vpc, "has no room for two subnets", "use a /27 or larger")
        return None
    filled = public or defaults[0], tuple(subnet for _, subnet in private) or (defaults[1],)
    chosen = [(reader.setting(public_setting), filled[0])]
    chosen += private or [(f"{reader.setting(private_setting)} (default)", filled[1][0])]
    if not (public and private):
        reader.problems += check_disjoint(chosen)
    return filled


def _hosts(
    reader: Reader, subnets: tuple[IPv4Network, tuple[IPv4Network, ...]] | None
) -> tuple[IPv4Address | None, IPv4Address | None]:
    """Read the gateway's and the probe host's addresses and check them against their subnets."""
    gateway, probe_host = reader.address("gateway_private_ip"), reader.address("probe_host_private_ip")
    if subnets is None:
        return gateway, probe_host
    public, private = subnets
    if gateway is not None:
        reader.problems += check_host(reader.setting("gateway_private_ip"), gateway, [public])
    if probe_host is not None:
        reader.problems += check_host(reader.setting("probe_host_private_ip"), probe_host, private)
    return gateway or default_gateway_address(public), probe_host


def _placement(reader: Reader, draft: _Draft) -> Placement:
    region = reader.text("region", pattern=_REGION, remedy="use e.g. eu-west-2")
    for zone in draft.site.availability_zones if draft.site and region else ():
        if not zone.startswith(str(region)):
            rule, remedy = f"is not in region {region}", f"use e.g. {region}a"
            reader.report(reader.setting("availability_zones"), zone, rule, remedy)
    return Placement(
        region=region or "",
        aws_profile=reader.optional_text("aws_profile", pattern=r"\S+", remedy="use the name of a profile"),
        assume_role_arn=reader.optional_text(
            "assume_role_arn",
            pattern=r"arn:aws[a-z-]*:iam::[0-9]{12}:role/\S+",
            remedy="use e.g. arn:aws:iam::123456789012:role/deployer",
        ),
    )


def _peer(reader: Reader) -> PeerSettings | None:
    name = reader.text("name", pattern=_NAME, remedy=_NAME_REMEDY)
    address = reader.address("private_ip", required=True)
    networks = reader.networks("cidr_blocks")
    if not reader.given("public_ip"):
        reader.report(reader.setting("public_ip"), "", "is required", "give the other gateway's Elastic IP")
    if not reader.given("cidr_blocks"):
        reader.report(reader.setting("cidr_blocks"), "", "is required", "give what the other gateway stands for")
    if name is None or address is None or not networks:
        return None
    if not any(address in network for _, network in networks):
        where = ", ".join(str(network) for _, network in networks)
        reader.report(reader.setting("private_ip"), address, f"is outside the peer's {where}", "give its address there")
    return PeerSettings(name=name, private_address=address, networks=tuple(network for _, network in networks))


def _check_sides(reader: Reader, left: _Draft, right: _Draft) -> None:
    if left.name is not None and left.name == right.name:
        reader.report("right.name", right.name, "is the name of the left side too", "name the sides differently")
    if left.vpc is not None and right.vpc is not None:
        reader.problems += check_disjoint([("left.cidr_block", left.vpc), ("right.cidr_block", right.vpc)])


def _check_peers(reader: Reader, draft: _Draft, peers: tuple[PeerSettings, ...]) -> None:
    names = [draft.name, *(peer.name for peer in peers)]
    for name in sorted({name for name in names if name is not None and names.count(name) > 1}):
        reader.report("peers", name, "is the name of two gateways", "name each gateway differently")
    ranges = [] if draft.vpc is None else [("cidr_block", draft.vpc)]
    ranges += [(f"cidr_blocks of peer {peer.name}", network) for peer in peers for network in peer.networks]
    reader.problems += check_disjoint(ranges)


def _check_secrets(reader: Reader) -> None:
    psk = reader.given("psk")
    weakness = psk_weakness(psk) if isinstance(psk, str) else None
    if weakness is not None:
        reader.report("psk", SECRET, *weakness)
    _check_public_key(reader, "ssh_public_key", _PUBLIC_KEY, "ssh-ed25519 AAAA… or ssh-rsa AAAA…")


def _check_public_key(reader: Reader, key: str, pattern: str, example: str) -> None:
    value = reader.given(key)
    if isinstance(value, str) and not re.fullmatch(pattern, value.strip()):
        # Not the value: one who takes the wrong file gives a private key here.
        reader.report(reader.setting(key), "…", "is not one line of an SSH public key", f"use the .pub file: {example}")


def _check_verify(reader: Reader, *, verify: bool) -> None:
    private, public = reader.given("ssh_private_key"), reader.given("ssh_public_key")
    if private is not None and public is None:
        reader.report("ssh_private_key", SECRET, "needs ssh_public_key", "give both, or none to have both generated")
    if not verify:
        return
    if not reader.given("administrator_cidr_blocks"):
        remedy = "give administrator_cidr_blocks the range of the host that runs Pulumi, or set verify to false"
        reader.report("verify", "true", "needs SSH, and no administrator_cidr_blocks admit any", remedy)
    if public is not None and private is None:
        remedy = "give ssh_private_key too, or set verify to false"
        reader.report("verify", "true", "cannot log in with ssh_public_key alone", remedy)


def _check_pair_of(reader: Reader, private: str, public: str) -> None:
    if (reader.given(private) is None) != (reader.given(public) is None):
        rule, remedy = f"{private} and {public} belong together", "give both, or none to have both generated"
        reader.report(reader.setting(private), SECRET, rule, remedy)


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
