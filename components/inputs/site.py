"""Reads the arguments of one site: its network, addresses, machines and keys, and where it is deployed."""

import re
from dataclasses import dataclass
from functools import cached_property
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
from ..decisions.arn import region_of
from ..decisions.problems import SECRET
from ..decisions.updates import TIME
from .arguments import ExistingNetworkArgs
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
    """An existing network. Ids may be Outputs."""

    vpc_id: pulumi.Input[str]
    public_subnet_id: pulumi.Input[str]
    private_route_table_ids: tuple[pulumi.Input[str], ...] | pulumi.Output[list[str]]
    take_default_route: bool
    private_subnet_id: pulumi.Input[str] | None
    internet_gateway_id: pulumi.Input[str] | None

    @property
    def is_text(self) -> bool:
        """Whether every id is text: the network exists before the program creates anything."""
        tables = self.private_route_table_ids
        ids = (self.vpc_id, self.public_subnet_id, self.private_subnet_id, self.internet_gateway_id)
        return not isinstance(tables, pulumi.Output) and all(isinstance(each, str | None) for each in (*ids, *tables))


@dataclass(frozen=True, kw_only=True)
class SiteSettings:
    """The settings of one site. Each has the name of its argument."""

    name: str
    cidr_block: IPv4Network
    additional_cidr_blocks: tuple[IPv4Network, ...]
    excluded_cidr_blocks: tuple[IPv4Network, ...]
    existing_network: ExistingNetwork | None
    """None: a new network is created."""
    public_subnet_cidr_block: IPv4Network | None
    """None: the subnet of an existing network, whose CIDR block is looked up."""
    private_subnet_cidr_blocks: tuple[IPv4Network, ...]
    """Empty in an existing network."""
    availability_zones: tuple[str, ...]
    """Of the public subnet, then of the private ones, in turn. Empty: one zone that offers the instance type, for all.
    """
    gateway_private_ip: IPv4Address
    probe_host_private_ip: IPv4Address | None
    """None: no probe host."""
    allocation_id: pulumi.Input[str] | None
    """None: an Elastic IP is created."""
    retain_elastic_ip: bool
    instance_type: str
    image: str
    root_volume_size: int
    """GiB."""
    update_window: str | None
    """When the window for updates begins, in UTC. None: the image's own configuration counts."""
    permissions_boundary_arn: pulumi.Input[str] | None
    kms_key_arn: pulumi.Input[str] | None
    host_private_key: pulumi.Input[str] | None
    """None: the host key is generated."""
    host_public_key: pulumi.Input[str] | None

    @property
    def cidr_blocks(self) -> tuple[IPv4Network, ...]:
        """All CIDR blocks of the site."""
        return (self.cidr_block, *self.additional_cidr_blocks)

    @cached_property
    def ranges(self) -> tuple[IPv4Network, ...]:
        """The part of the site that goes through the tunnel."""
        return without(self.cidr_blocks, self.excluded_cidr_blocks)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The region of one side and the credentials that deploy it."""

    region: str
    aws_profile: str | None
    assume_role_arn: str | None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The valid part of a site's arguments, for checks against other sites: all problems are reported at once."""

    name: str | None
    cidr_blocks: tuple[tuple[str, IPv4Network], ...]
    """Path and value of the valid CIDR blocks."""
    site: SiteSettings | None
    """None: the CIDR block of the VPC, its subnets or the gateway's address are not valid."""


@dataclass(frozen=True, kw_only=True)
class _Subnets:
    public: IPv4Network | None = None
    private: tuple[IPv4Network, ...] = ()


def read_site(reader: Reader) -> Draft:
    """Read the arguments of one site, and check the rules that concern this site alone."""
    name = reader.text("name", pattern=NAME, remedy=NAME_REMEDY)
    instance_type = reader.text(
        "instance_type", pattern=_INSTANCE_TYPE, remedy="use e.g. t3.nano", default=DEFAULT_INSTANCE_TYPE
    )
    image = reader.text(
        "image",
        pattern=_IMAGE,
        rule="is not a known image",
        remedy="use debian-13, debian-12 or ami-…",
        default=DEFAULT_IMAGE,
    )
    # Up to the 16 TiB of a gp3 volume (Amazon EBS user guide, "Amazon EBS volume types").
    root_volume_size = reader.whole(
        "root_volume_size", "GiB", default=DEFAULT_ROOT_VOLUME_SIZE, smallest=1, largest=16384
    )
    zones = reader.texts("availability_zones", pattern=_ZONE, remedy="use e.g. eu-west-2a")
    vpc = reader.network("cidr_block", required=True)
    existing = _existing_network(reader)
    is_new = reader.value("existing_network") is None
    subnets = _subnets(reader, vpc) if is_new else _no_subnets(reader, vpc)
    gateway, probe_host = _hosts(reader, vpc, subnets)
    additional = reader.networks("additional_cidr_blocks")
    cidr_blocks = (*([(reader.setting("cidr_block"), vpc)] if vpc else []), *additional)
    excluded = _excluded(reader, cidr_blocks, gateway, probe_host)
    _check_additional(reader, cidr_blocks, additional)
    update_window = reader.optional_text("update_window", pattern=TIME, remedy='use hours and minutes, e.g. "02:00"')
    boundary = reader.text_or_output(
        "permissions_boundary_arn", pattern=_BOUNDARY, remedy="use e.g. arn:aws:iam::123456789012:policy/boundary"
    )
    # An id or an alias does not serve: the role's policy has to name the key's ARN.
    kms_key = reader.text_or_output(
        "kms_key_arn",
        pattern=_KMS_KEY,
        remedy="use the key's own ARN: arn:aws:kms:eu-west-2:123456789012:key/1234abcd-…",
    )
    allocation_id, retain_elastic_ip = _elastic_ip(reader)
    host_private_key, host_public_key = _host_key(reader)
    if vpc is None or subnets is None or gateway is None:
        return Draft(name=name, cidr_blocks=cidr_blocks, site=None)
    site = SiteSettings(
        name=name or "",
        cidr_block=vpc,
        additional_cidr_blocks=tuple(block for _, block in additional),
        excluded_cidr_blocks=excluded,
        existing_network=existing,
        public_subnet_cidr_block=subnets.public,
        private_subnet_cidr_blocks=subnets.private,
        availability_zones=zones,
        gateway_private_ip=gateway,
        probe_host_private_ip=probe_host,
        allocation_id=allocation_id,
        retain_elastic_ip=retain_elastic_ip,
        instance_type=instance_type or DEFAULT_INSTANCE_TYPE,
        image=image or DEFAULT_IMAGE,
        root_volume_size=root_volume_size,
        update_window=update_window,
        permissions_boundary_arn=boundary,
        kms_key_arn=kms_key,
        host_private_key=host_private_key,
        host_public_key=host_public_key,
    )
    return Draft(name=name, cidr_blocks=cidr_blocks, site=site)


def read_placement(reader: Reader, draft: Draft) -> Placement:
    """Read the region and the credentials of one side, and check the settings that depend on the region."""
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


def read_authorized_keys(reader: Reader, *, login: bool, remedy: str) -> tuple[pulumi.Input[str], ...]:
    """Return `ssh_authorized_keys`; check those that are text. Without a `login`, any is a problem with this remedy."""

    def read(items: Reader, number: str) -> pulumi.Input[str] | None:
        key = "" if items.value(number) is None else items.input_text(number)
        text = key if isinstance(key, str) else None
        items.problems += key_problems("", None, items.setting(number), text, host=False)
        return key

    keys: tuple[pulumi.Input[str], ...] = reader.each("ssh_authorized_keys", read)
    if keys and not login:
        rule = "needs a login, because the user data has no room for it"
        reader.report(reader.setting("ssh_authorized_keys"), "…", rule, f"{remedy}, or leave it out")
    return keys


def _existing_network(reader: Reader) -> ExistingNetwork | None:
    if reader.value("existing_network") is None:
        return None
    for key in _OF_A_NEW_NETWORK:
        if reader.value(key):
            remedy = "leave it out, because the existing network has its own, or leave out `existing_network`"
            reader.report(reader.setting(key), reader.value(key), "belongs to a new network", remedy)
    inner = reader.nested("existing_network", frozenset(ExistingNetworkArgs.__annotations__))
    vpc_id, public_subnet_id = inner.identifier("vpc_id", "vpc"), inner.identifier("public_subnet_id", "subnet")
    tables = inner.identifiers("private_route_table_ids", "rtb")
    private_subnet_id = inner.identifier("private_subnet_id", "subnet", required=False)
    probed = reader.value("probe_host_private_ip") is not None
    if probed and inner.value("private_subnet_id") is None:
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
    """Check the CIDR block of an existing VPC. Its subnets are looked up once their ids are known."""
    if vpc is not None:
        reader.problems += check_vpc(reader.setting("cidr_block"), vpc)
    if reader.value("gateway_private_ip") is None:
        remedy = "give a free address of the public subnet: the component does not know which are free"
        reader.report(reader.setting("gateway_private_ip"), "", "is needed with `existing_network`", remedy)
    return _Subnets()


def _subnets(reader: Reader, vpc: IPv4Network | None) -> _Subnets | None:
    """Read and check the CIDR blocks of the subnets, and fill in their defaults."""
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
    """Read the addresses of the gateway and of the probe host, and check them against their subnets.

    The CIDR blocks of existing subnets are not known yet: there, both are checked against the CIDR block of the VPC.
    """
    gateway, probe_host = reader.address("gateway_private_ip"), reader.address("probe_host_private_ip")
    if subnets is None or vpc is None:
        return gateway, probe_host
    if gateway is not None:
        reader.problems += check_host(reader.setting("gateway_private_ip"), gateway, [subnets.public or vpc])
    if probe_host is not None:
        reader.problems += check_host(reader.setting("probe_host_private_ip"), probe_host, subnets.private or [vpc])
    if gateway is not None and gateway == probe_host:
        remedy = "give each its own address"
        reader.report(reader.setting("probe_host_private_ip"), probe_host, "is the gateway's address too", remedy)
    if gateway is None and subnets.public is not None:
        gateway = default_gateway_address(subnets.public)
    return gateway, probe_host


def _check_additional(
    reader: Reader,
    cidr_blocks: tuple[tuple[str, IPv4Network], ...],
    additional: tuple[tuple[str, IPv4Network], ...],
) -> None:
    for setting, block in additional:
        reader.problems += check_usable(setting, block)
    reader.problems += check_disjoint(cidr_blocks)


def _elastic_ip(reader: Reader) -> tuple[pulumi.Input[str] | None, bool]:
    allocation_id = reader.identifier("allocation_id", "eipalloc", required=False)
    retain = reader.flag("retain_elastic_ip", default=False)
    if retain and allocation_id is not None:
        rule = "is for an Elastic IP that is created here, and one of `allocation_id` is never released"
        reader.report(reader.setting("retain_elastic_ip"), "true", rule, "leave it out")
    return allocation_id, retain


def _excluded(
    reader: Reader,
    cidr_blocks: tuple[tuple[str, IPv4Network], ...],
    gateway: IPv4Address | None,
    probe_host: IPv4Address | None,
) -> tuple[IPv4Network, ...]:
    excluded = reader.networks("excluded_cidr_blocks")
    whole = [block for _, block in cidr_blocks]
    reader.problems += check_disjoint(excluded)
    for setting, hole in excluded:
        if whole and not any(hole.subnet_of(block) for block in whole):
            where = " or ".join(map(str, whole))
            rule, remedy = "is in no CIDR block of this site", f"use a part of {where}, or leave it out"
            reader.report(setting, hole, rule, remedy)
        for host, address in (("gateway", gateway), ("probe host", probe_host)):
            if address is not None and address in hole:
                rule = f"contains the address of the {host}, {address}, which is reached through the tunnel"
                reader.report(setting, hole, rule, "exclude a CIDR block without it")
    return tuple(hole for _, hole in excluded)


def _host_key(reader: Reader) -> tuple[pulumi.Input[str] | None, pulumi.Input[str] | None]:
    private, public = "host_private_key", "host_public_key"
    if (reader.value(private) is None) != (reader.value(public) is None):
        rule, remedy = f"`{private}` and `{public}` belong together", "give both, or neither to have both generated"
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
    key = reader.value("kms_key_arn")
    if isinstance(key, str) and re.fullmatch(_KMS_KEY, key) and region_of(key) != region:
        reader.report(reader.setting("kms_key_arn"), key, f"is not in region {region}", "give a key of that region")
