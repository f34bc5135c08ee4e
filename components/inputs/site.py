"""Arguments of one site -> its frozen settings: network, addresses, machine, and where it is deployed."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

import pulumi

from ..decisions.addressing import (
    check_disjoint,
    check_host,
    check_subnet,
    check_usable,
    check_vpc,
    default_gateway_address,
    default_subnets,
    without,
)
from .arguments import ExistingNetworkArgs
from .problems import SECRET
from .reader import Reader
from .ssh_keys import key_problems

DEFAULT_INSTANCE_TYPE: Final = "t3.nano"
DEFAULT_IMAGE: Final = "debian-13"
DEFAULT_ROOT_VOLUME_SIZE: Final = 8
"""GiB, as the root volume of Debian's images has."""

NAME: Final = r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?"
NAME_REMEDY: Final = "use lower-case letters, digits and hyphens, at most 20, e.g. uk"
_IMAGE: Final = r"debian-1[23]|ami-([0-9a-f]{8}|[0-9a-f]{17})"
_INSTANCE_TYPE: Final = r"[a-z][a-z0-9-]*\.[a-z0-9-]+"
_REGION: Final = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"
_ZONE: Final = r"[a-z]{2,}(-[a-z]+)+-[0-9]+(-[a-z]+-[0-9]+)?[a-z]"
_BOUNDARY: Final = r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/\S+"
_KMS_KEY: Final = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-z-]+"

_OTHER_PARTITIONS: Final = ("cn-", "us-gov-", "us-iso", "eusc-", "eu-isoe-")
"""Beginnings of the names of regions outside the commercial partition (AWS General Reference, "Partitions")."""

_OF_A_NEW_NETWORK: Final = ("public_subnet_cidr_block", "private_subnet_cidr_blocks", "availability_zones")


@dataclass(frozen=True, kw_only=True)
class ExistingNetwork:
    """A network that is there already; ids may be Outputs."""

    vpc_id: pulumi.Input[str]
    public_subnet_id: pulumi.Input[str]
    private_route_table_ids: tuple[pulumi.Input[str], ...] | pulumi.Output[list[str]]
    take_default_route: bool
    private_subnet_id: pulumi.Input[str] | None
    internet_gateway_id: pulumi.Input[str] | None

    @property
    def is_text(self) -> bool:
        """Whether all of it is there before anything is created: no id is the output of a resource."""
        tables = self.private_route_table_ids
        ids = (self.vpc_id, self.public_subnet_id, self.private_subnet_id, self.internet_gateway_id)
        return not isinstance(tables, pulumi.Output) and all(isinstance(each, str | None) for each in (*ids, *tables))


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """Everything decided about one site, whoever is at the other end."""

    name: str
    vpc: IPv4Network
    additional: tuple[IPv4Network, ...]
    excluded: tuple[IPv4Network, ...]
    existing: ExistingNetwork | None
    """None: a new network is made."""
    public_subnet: IPv4Network | None
    """None in an existing network: its own subnet says it."""
    private_subnets: tuple[IPv4Network, ...]
    """Those to make."""
    availability_zones: tuple[str, ...]
    """Of the public subnet, then of the private ones, in turn; empty: one that offers the instance type, for all."""
    gateway_address: IPv4Address
    probe_host_address: IPv4Address | None
    instance_type: str
    image: str
    root_volume_size: int
    """GiB."""
    permissions_boundary_arn: pulumi.Input[str] | None
    kms_key_arn: pulumi.Input[str] | None
    host_private_key: pulumi.Input[str] | None
    """None: the host key is generated."""
    host_public_key: pulumi.Input[str] | None

    @property
    def networks(self) -> tuple[IPv4Network, ...]:
        """Whatever is at this site."""
        return (self.vpc, *self.additional)

    @property
    def tunnelled(self) -> tuple[IPv4Network, ...]:
        """What of it the other side reaches through the tunnel."""
        return without(self.networks, self.excluded)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where, and as whom, one side is deployed."""

    region: str
    aws_profile: str | None
    assume_role_arn: str | None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A site as far as it could be read."""

    name: str | None
    networks: tuple[tuple[str, IPv4Network], ...]
    """Setting and network: those of the site that could be read."""
    site: SiteSettings | None


@dataclass(frozen=True, kw_only=True)
class _Subnets:
    public: IPv4Network | None = None
    private: tuple[IPv4Network, ...] = ()


def read_site(reader: Reader) -> Draft:
    """Read one site, and check all that concerns nothing but itself."""
    name = reader.text("name", pattern=NAME, remedy=NAME_REMEDY)
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
    # Up to the 16 TiB of a gp3 volume (Amazon EBS user guide, "Amazon EBS volume types").
    root_volume_size = reader.whole(
        "root_volume_size", "GiB", default=DEFAULT_ROOT_VOLUME_SIZE, smallest=1, largest=16384
    )
    zones = reader.texts("availability_zones", pattern=_ZONE, remedy="use e.g. eu-west-2a")
    vpc = reader.network("cidr_block", required=True)
    existing = _existing(reader)
    is_new = reader.given("existing_network") is None
    subnets = _subnets(reader, vpc) if is_new else _no_subnets(reader, vpc)
    gateway, probe_host = _hosts(reader, vpc, subnets)
    additional = reader.networks("additional_cidr_blocks")
    networks = (*([(reader.setting("cidr_block"), vpc)] if vpc else []), *additional)
    excluded = _excluded(reader, networks, gateway, probe_host)
    _check_additional(reader, networks, additional)
    boundary = reader.text_or_output(
        "permissions_boundary_arn", pattern=_BOUNDARY, remedy="use e.g. arn:aws:iam::123456789012:policy/boundary"
    )
    # Not its id or an alias: the role's policy has to name the key itself.
    kms_key = reader.text_or_output(
        "kms_key_arn",
        pattern=_KMS_KEY,
        remedy="use the key's own ARN: arn:aws:kms:eu-west-2:123456789012:key/1234abcd-…",
    )
    host_private_key, host_public_key = _host_key(reader)
    if vpc is None or subnets is None or gateway is None:
        return Draft(name=name, networks=networks, site=None)
    site = SiteSettings(
        name=name or "",
        vpc=vpc,
        additional=tuple(network for _, network in additional),
        excluded=excluded,
        existing=existing,
        public_subnet=subnets.public,
        private_subnets=subnets.private,
        availability_zones=zones,
        gateway_address=gateway,
        probe_host_address=probe_host,
        instance_type=instance_type or DEFAULT_INSTANCE_TYPE,
        image=image or DEFAULT_IMAGE,
        root_volume_size=root_volume_size,
        permissions_boundary_arn=boundary,
        kms_key_arn=kms_key,
        host_private_key=host_private_key,
        host_public_key=host_public_key,
    )
    return Draft(name=name, networks=networks, site=site)


def read_placement(reader: Reader, draft: Draft) -> Placement:
    """Read where a side is deployed, and check what depends on its region."""
    region = reader.text("region", pattern=_REGION, remedy="use e.g. eu-west-2")
    if region is not None:
        _check_region(reader, region, draft)
    return Placement(
        region=region or "",
        aws_profile=reader.optional_text("aws_profile", pattern=r"\S+", remedy="use the name of a profile"),
        assume_role_arn=reader.optional_text(
            "assume_role_arn",
            pattern=r"arn:aws[a-z-]*:iam::[0-9]{12}:role/\S+",
            remedy="use e.g. arn:aws:iam::123456789012:role/deployer",
        ),
    )


def read_ssh_key(reader: Reader, kind: str) -> tuple[pulumi.Input[str] | None, pulumi.Input[str] | None]:
    """Return the private and the public half of the key `host` or `ssh`; check the halves that are text."""
    settings = f"{kind}_private_key", f"{kind}_public_key"
    private, public = (reader.input_text(key) for key in settings)
    private_text, public_text = (half if isinstance(half, str) else None for half in (private, public))
    private_setting, public_setting = map(reader.setting, settings)
    reader.problems += key_problems(private_setting, private_text, public_setting, public_text, host=kind == "host")
    return private, public


def _existing(reader: Reader) -> ExistingNetwork | None:
    if reader.given("existing_network") is None:
        return None
    for key in _OF_A_NEW_NETWORK:
        if reader.given(key):
            remedy = "leave it out: the existing network has its own, or leave out `existing_network`"
            reader.report(reader.setting(key), reader.given(key), "belongs to a new network", remedy)
    inner = reader.nested("existing_network", frozenset(ExistingNetworkArgs.__annotations__))
    vpc_id, public_subnet_id = inner.identifier("vpc_id", "vpc"), inner.identifier("public_subnet_id", "subnet")
    tables = inner.identifiers("private_route_table_ids", "rtb")
    private_subnet_id = inner.identifier("private_subnet_id", "subnet", required=False)
    probed = reader.given("probe_host_private_ip") is not None
    if probed and inner.given("private_subnet_id") is None:
        rule, remedy = "is needed for a probe host", "name its subnet, or leave out `probe_host_private_ip`"
        inner.report(inner.setting("private_subnet_id"), "", rule, remedy)
    if not probed and private_subnet_id is not None:
        remedy = "leave it out, or give `probe_host_private_ip`"
        inner.report(inner.setting("private_subnet_id"), private_subnet_id, "is the probe host's, and none is", remedy)
    return ExistingNetwork(
        vpc_id=vpc_id or "",
        public_subnet_id=public_subnet_id or "",
        private_route_table_ids=tables,
        take_default_route=inner.flag("take_default_route", default=True),
        private_subnet_id=private_subnet_id,
        internet_gateway_id=inner.identifier("internet_gateway_id", "igw", required=False),
    )


def _no_subnets(reader: Reader, vpc: IPv4Network | None) -> _Subnets:
    """Check the block of an existing VPC. Its subnets are looked up once their ids are known."""
    if vpc is not None:
        reader.problems += check_vpc(reader.setting("cidr_block"), vpc)
    if reader.given("gateway_private_ip") is None:
        remedy = "give a free address of the public subnet: what is free in it is not known here"
        reader.report(reader.setting("gateway_private_ip"), "", "is needed with `existing_network`", remedy)
    return _Subnets()


def _subnets(reader: Reader, vpc: IPv4Network | None) -> _Subnets | None:
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
    return _Subnets(public=filled[0], private=filled[1])


def _hosts(
    reader: Reader, vpc: IPv4Network | None, subnets: _Subnets | None
) -> tuple[IPv4Address | None, IPv4Address | None]:
    """Read the gateway's and the probe host's addresses and check them against their subnets, as far as they are known.

    Of an existing subnet no more than its VPC is known: both addresses are checked against that.
    """
    gateway, probe_host = reader.address("gateway_private_ip"), reader.address("probe_host_private_ip")
    if subnets is None or vpc is None:
        return gateway, probe_host
    if gateway is not None:
        reader.problems += check_host(reader.setting("gateway_private_ip"), gateway, [subnets.public or vpc])
    if probe_host is not None:
        reader.problems += check_host(reader.setting("probe_host_private_ip"), probe_host, subnets.private or [vpc])
    if gateway is not None and gateway == probe_host:
        remedy = "give each an address of its own"
        reader.report(reader.setting("probe_host_private_ip"), probe_host, "is the gateway's address too", remedy)
    if gateway is None and subnets.public is not None:
        gateway = default_gateway_address(subnets.public)
    return gateway, probe_host


def _check_additional(
    reader: Reader,
    networks: tuple[tuple[str, IPv4Network], ...],
    additional: tuple[tuple[str, IPv4Network], ...],
) -> None:
    for setting, network in additional:
        reader.problems += check_usable(setting, network)
    reader.problems += check_disjoint(networks)


def _excluded(
    reader: Reader,
    networks: tuple[tuple[str, IPv4Network], ...],
    gateway: IPv4Address | None,
    probe_host: IPv4Address | None,
) -> tuple[IPv4Network, ...]:
    excluded = reader.networks("excluded_cidr_blocks")
    whole = [network for _, network in networks]
    reader.problems += check_disjoint(excluded)
    for setting, hole in excluded:
        if whole and not any(hole.subnet_of(network) for network in whole):
            where = " or ".join(map(str, whole))
            reader.report(setting, hole, "is in no network of this side", f"use a part of {where}, or leave it out")
        for host, address in (("gateway", gateway), ("probe host", probe_host)):
            if address is not None and address in hole:
                rule = f"holds the address of the {host}, {address}, which is reached through the tunnel"
                reader.report(setting, hole, rule, "exclude a range without it")
    return tuple(network for _, network in excluded)


def _host_key(reader: Reader) -> tuple[pulumi.Input[str] | None, pulumi.Input[str] | None]:
    private, public = "host_private_key", "host_public_key"
    if (reader.given(private) is None) != (reader.given(public) is None):
        rule, remedy = f"`{private}` and `{public}` belong together", "give both, or none to have both generated"
        reader.report(reader.setting(private), SECRET, rule, remedy)
    return read_ssh_key(reader, "host")


def _check_region(reader: Reader, region: str, draft: Draft) -> None:
    for zone in draft.site.availability_zones if draft.site else ():
        if not zone.startswith(region):
            rule, remedy = f"is not in region {region}", f"use e.g. {region}a"
            reader.report(reader.setting("availability_zones"), zone, rule, remedy)
    if region.startswith(_OTHER_PARTITIONS) and draft.site and not draft.site.image.startswith("ami-"):
        rule = f"is not found in {region}: the Debian project's account is in the commercial partition"
        reader.report(reader.setting("image"), draft.site.image, rule, "give the id of an AMI of Debian 12 or 13")
    key = reader.given("kms_key_arn")
    if isinstance(key, str) and re.fullmatch(_KMS_KEY, key) and key.split(":")[3] != region:
        reader.report(reader.setting("kms_key_arn"), key, f"is not in region {region}", "give a key of that region")
