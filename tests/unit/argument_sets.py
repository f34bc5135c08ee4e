"""Argument sets for property tests: sound ones, spoilt ones that say what must be named, and such with anything at all.

A new argument needs a row in `SOUND_SITE` or `SOUND_PAIR` and one in `SPOILT_SITE` or `SPOILT_PAIR`; `rows_missing`
says which.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from hypothesis import strategies as st

from components.decisions.addressing import default_subnets
from components.decisions.tunnel import TunnelProfile
from components.decisions.updates import later
from components.inputs.arguments import SecretDelivery, SiteArgs, VpnGatewayPairArgs
from tests.unit.existing_cloud import GATEWAY, PRIVATE, PUBLIC, TABLE_A, TABLE_B, VPC
from tests.unit.gateway_documents import HOST_KEY, OTHER_PUBLIC_KEY, PUBLIC_KEY
from tests.unit.spoilt_values import MISSING, SPOILT_PAIR, SPOILT_SITE, Strategy

POOLS: Final = tuple(
    map(IPv4Network, ("10.0.0.0/12", "10.16.0.0/12", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"))
)
MORE: Final = {"left": IPv4Network("198.18.0.0/16"), "right": IPv4Network("198.19.0.0/16")}
"""What the additional networks of a side are taken from."""
REGIONS: Final = ("eu-west-2", "ap-southeast-2", "us-gov-west-1", "cn-north-1", "il-central-1")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the values of one side's arguments have to agree about."""

    name: str
    region: str
    vpc: IPv4Network
    public: IPv4Network | None
    private: tuple[IPv4Network, ...]
    """Empty: not given."""
    additional: tuple[IPv4Network, ...]
    excluded: tuple[IPv4Network, ...]
    existing: bool
    """Whether the network is there already."""
    probed: bool
    own_host_key: bool
    graviton: bool

    @property
    def subnets(self) -> tuple[IPv4Network, tuple[IPv4Network, ...]]:
        """Return the gateway's subnet and the private ones, given or not."""
        defaults = default_subnets(self.vpc)
        assert defaults is not None
        return self.public or defaults[0], self.private or (defaults[1],)


@dataclass(frozen=True, kw_only=True)
class ArgumentSet:
    """Arguments of a pair, and what is to become of them."""

    args: Any
    named: frozenset[str] | None
    """Settings that the error must name, none other being wrong; empty: there is a plan; None: either, by the rules."""


def hosts(subnet: IPv4Network) -> st.SearchStrategy[str]:
    """Return the addresses of a subnet that AWS leaves free: all but the first four and the last."""
    return st.integers(int(subnet[4]), int(subnet[-2])).map(lambda number: str(IPv4Address(number)))


@st.composite
def _frames(draw: st.DrawFn, name: str, pool: IPv4Network, more: IPv4Network, *, may_exist: bool) -> Frame:
    length = draw(st.integers(pool.prefixlen if pool.prefixlen > 16 else 16, 27))
    vpc = IPv4Network((draw(st.integers(int(pool[0]), int(pool[-1]))), length), strict=False)
    existing = may_exist and draw(st.integers(0, 3)) == 0
    public, private = (None, ()) if existing else draw(_subnets(vpc))
    additional = tuple(draw(st.lists(st.sampled_from(list(more.subnets(new_prefix=20))), max_size=2, unique=True)))
    # Few and large: each range here makes one SA with each range there.
    excluded = tuple(draw(_part(network, longest=22)) for network in additional[:1] if draw(st.booleans()))
    return Frame(
        name=name,
        region=draw(st.sampled_from(REGIONS)),
        vpc=vpc,
        public=public,
        private=private,
        additional=additional,
        excluded=excluded,
        existing=existing,
        probed=draw(st.booleans()),
        own_host_key=draw(st.booleans()),
        graviton=draw(st.booleans()),
    )


@st.composite
def _subnets(draw: st.DrawFn, vpc: IPv4Network) -> tuple[IPv4Network | None, tuple[IPv4Network, ...]]:
    """Give neither kind of subnet, both, or the private ones alone where the default public one does not touch them."""
    bits = draw(st.integers(0, min(3, 28 - vpc.prefixlen)))
    if bits == 0:
        return None, ()
    number = draw(st.integers(2, min(2**bits, 5)))
    places = draw(st.lists(st.integers(0, 2**bits - 1), min_size=number, max_size=number, unique=True))
    parts = list(vpc.subnets(new_prefix=vpc.prefixlen + bits))
    public, *private = (draw(_part(parts[place])) for place in places)
    default = default_subnets(vpc)
    alone = default is not None and not any(default[0].overlaps(subnet) for subnet in private) and draw(st.booleans())
    return None if alone else public, tuple(private)


@st.composite
def _part(draw: st.DrawFn, network: IPv4Network, longest: int = 28) -> IPv4Network:
    length = draw(st.integers(network.prefixlen, longest))
    return IPv4Network((draw(st.integers(int(network[0]), int(network[-1]))), length), strict=False)


def _half(network: IPv4Network, number: int) -> IPv4Network:
    return list(network.subnets())[number]


def _optional(strategy: Strategy) -> Strategy:
    return st.just(MISSING) | strategy


def _zones(frame: Frame) -> Strategy:
    return st.lists(st.sampled_from("abc").map(lambda letter: frame.region + letter), max_size=4)


def _existing_network(frame: Frame) -> Strategy:
    ids = {
        "vpc_id": VPC,
        "public_subnet_id": PUBLIC,
        "private_route_table_ids": [TABLE_A, TABLE_B],
        **({"private_subnet_id": PRIVATE} if frame.probed else {}),
    }
    return st.sampled_from([ids, {**ids, "take_default_route": False, "internet_gateway_id": GATEWAY}])


def _images(frame: Frame) -> Strategy:
    # The first is one that the look-ups of tests know for arm64.
    amis = ["ami-0123456789abcda64"] if frame.graviton else ["ami-0123456789abcdef0", "ami-01234567"]
    # Debian's images are in the commercial partition.
    commercial = not frame.region.startswith(("us-gov", "cn"))
    return _optional(st.sampled_from([*amis, "debian-13", "debian-12"])) if commercial else st.sampled_from(amis)


def _kms_keys(frame: Frame) -> Strategy:
    return _optional(st.just(f"arn:aws:kms:{frame.region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"))


def _texts(networks: tuple[IPv4Network, ...]) -> list[str]:
    return [str(network) for network in networks]


names: Final = st.from_regex(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", fullmatch=True)
psks: Final = st.binary(max_size=8).map(lambda seed: sha256(seed).hexdigest())
printable: Final = st.text("abcXYZ019 _.:/=+-@", max_size=20)

SOUND_SITE: Final[Mapping[str, Callable[[Frame], Strategy]]] = {
    "name": lambda frame: st.just(frame.name),
    "region": lambda frame: st.just(frame.region),
    "cidr_block": lambda frame: st.just(str(frame.vpc)),
    "public_subnet_cidr_block": lambda frame: st.just(str(frame.public) if frame.public else MISSING),
    "private_subnet_cidr_blocks": lambda frame: st.just(_texts(frame.private) or MISSING),
    "availability_zones": lambda frame: st.just(MISSING) if frame.existing else _optional(_zones(frame)),
    "existing_network": lambda frame: _existing_network(frame) if frame.existing else st.just(MISSING),
    "additional_cidr_blocks": lambda frame: st.just(_texts(frame.additional) or MISSING),
    "excluded_cidr_blocks": lambda frame: st.just(_texts(frame.excluded) or MISSING),
    "gateway_private_ip": lambda frame: (
        hosts(_half(frame.vpc, 0)) if frame.existing else _optional(hosts(frame.subnets[0]))
    ),
    "probe_host_private_ip": lambda frame: (
        st.sampled_from((_half(frame.vpc, 1),) if frame.existing else frame.subnets[1]).flatmap(hosts)
        if frame.probed
        else st.just(MISSING)
    ),
    "instance_type": lambda frame: (
        st.sampled_from(["t4g.nano", "c7gn.large"])
        if frame.graviton
        else _optional(st.sampled_from(["t3.nano", "g4dn.xlarge"]))
    ),
    "image": _images,
    "root_volume_size": lambda _: _optional(st.integers(8, 16384)),
    "aws_profile": lambda _: _optional(st.sampled_from(["default", "uk-account"])),
    "assume_role_arn": lambda _: _optional(st.just("arn:aws:iam::123456789012:role/deployer")),
    "allocation_id": lambda _: st.just(MISSING),
    "retain_elastic_ip": lambda _: _optional(st.booleans()),
    # Both sides have one, or neither.
    "update_window": lambda _: st.just(MISSING),
    "permissions_boundary_arn": lambda _: _optional(st.just("arn:aws:iam::123456789012:policy/boundary")),
    "kms_key_arn": _kms_keys,
    "host_private_key": lambda frame: st.just(HOST_KEY if frame.own_host_key else MISSING),
    "host_public_key": lambda frame: st.just(PUBLIC_KEY if frame.own_host_key else MISSING),
}
"""Argument of a side -> values that fit the frame."""

SOUND_PAIR: Final[Mapping[str, Strategy]] = {
    "profile": _optional(st.sampled_from([*TunnelProfile, *(each.value for each in TunnelProfile)])),
    "psk": _optional(psks),
    "ppk": _optional(psks.map(lambda key: key[::-1])),
    "postquantum": _optional(st.booleans()),
    "secret_delivery": _optional(st.sampled_from([*SecretDelivery, *(each.value for each in SecretDelivery)])),
    # Without any, `verify` would have to be off.
    "administrator_cidr_blocks": st.lists(
        st.sampled_from(POOLS).flatmap(_part).map(str), min_size=1, max_size=4, unique=True
    ),
    "ssh_private_key": _optional(st.just(HOST_KEY)),
    "ssh_public_key": _optional(st.just(PUBLIC_KEY)),
    "ssh_authorized_keys": _optional(st.lists(st.sampled_from([PUBLIC_KEY, f"{OTHER_PUBLIC_KEY} a comment"]))),
    "verify": _optional(st.booleans()),
    "verify_timeout_seconds": _optional(st.integers(30, 3600) | st.floats(30, 3600)),
    "monitoring": _optional(
        st.fixed_dictionaries(
            {}, optional={"metrics": st.sampled_from(["basic", "detailed"]), "dashboard": st.booleans()}
        )
    ),
    "tags": _optional(st.dictionaries(st.sampled_from(["owner", "cost centre", "x:y"]), printable, max_size=3)),
}
"""Argument of a pair -> values that fit any sides. `SOUND_SITE` makes the sides."""

anything: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["10.0.0.0/16", "10.0.0.9", "uk", "eu-west-2", "debian-13", PUBLIC_KEY]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip


def rows_missing() -> list[str]:
    """Return what an argument of the component still needs here, one sentence each."""
    tables: list[tuple[str, Mapping[str, Any], set[str]]] = [
        ("SOUND_SITE", SOUND_SITE, set(SiteArgs.__annotations__)),
        ("SPOILT_SITE", SPOILT_SITE, set(SiteArgs.__annotations__)),
        ("SOUND_PAIR", SOUND_PAIR, set(VpnGatewayPairArgs.__annotations__) - {"left", "right"}),
        ("SPOILT_PAIR", SPOILT_PAIR, set(VpnGatewayPairArgs.__annotations__)),
    ]
    return [
        f"{table} in tests/unit has {'no row for the' if field in fields else 'a row for no'} argument {field!r}"
        for table, rows, fields in tables
        for field in sorted(fields ^ rows.keys())
    ]


@st.composite
def _sound(draw: st.DrawFn, *, may_exist: bool = False) -> tuple[dict[str, Any], dict[str, Frame]]:
    pools = draw(st.lists(st.sampled_from(POOLS), min_size=2, max_size=2, unique=True))
    sides = draw(st.lists(names, min_size=2, max_size=2, unique=True))
    frames = {
        # One of the two: what answers the look-ups of tests knows one network.
        side: draw(_frames(name, pool, MORE[side], may_exist=may_exist and side == "left"))
        for side, name, pool in zip(("left", "right"), sides, pools, strict=True)
    }
    args = {field: draw(strategy) for field, strategy in SOUND_PAIR.items()}
    if MISSING in (args["ssh_private_key"], args["ssh_public_key"]):  # they belong together
        args["ssh_private_key"] = args["ssh_public_key"] = MISSING
    if args["profile"] in (TunnelProfile.ARTICLE_2014, TunnelProfile.ARTICLE_2014.value) or not args["postquantum"]:
        args["ppk"] = MISSING
    without_role = args["secret_delivery"] in (SecretDelivery.USER_DATA, SecretDelivery.USER_DATA.value)
    if without_role or args["verify"] is False:
        args["monitoring"] = MISSING  # nothing would publish
    if args["verify"] is False:
        args["ssh_authorized_keys"] = MISSING  # nothing would bring them
    for side, frame in frames.items():
        args[side] = _given({field: draw(row(frame)) for field, row in SOUND_SITE.items()})
        if without_role:
            args[side].pop("permissions_boundary_arn", None)  # there is no role to bound
    if args["verify"] is not False and draw(st.booleans()):
        begin, apart = draw(st.integers(0, 1439)), draw(st.integers(120, 1320))
        args["left"]["update_window"], args["right"]["update_window"] = (
            later("00:00", minute) for minute in (begin, begin + apart)
        )
    return _given(args), frames


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not MISSING}


@st.composite
def sound(draw: st.DrawFn, *, may_exist: bool = False) -> ArgumentSet:
    """Draw arguments with which nothing is wrong; with `may_exist`, the left network may be there already."""
    return ArgumentSet(args=draw(_sound(may_exist=may_exist))[0], named=frozenset())


@st.composite
def spoilt(draw: st.DrawFn) -> ArgumentSet:
    """Draw arguments of which one to four are wrong by themselves; each must be named."""
    args, _ = draw(_sound())
    paths = [*SPOILT_PAIR, *(f"{side}.{field}" for side in ("left", "right") for field in SPOILT_SITE)]
    chosen = draw(st.lists(st.sampled_from(paths), min_size=1, max_size=4, unique=True))
    # Of a side that is none, nothing else can be said; and a public key makes the private one right.
    chosen = [path for path in chosen if path.partition(".")[0] == path or path.partition(".")[0] not in chosen]
    # With an existing network, the arguments for new subnets are not read.
    chosen = [
        path for path in chosen if not ("subnet" in path and f"{path.partition('.')[0]}.existing_network" in chosen)
    ]
    alone = {
        path.replace("public", "private") for path in chosen if path.endswith(("ssh_public_key", "host_public_key"))
    }
    chosen = [path for path in chosen if path not in alone]
    for path in chosen:
        _spoil(draw, args, path)
    return ArgumentSet(args=args, named=frozenset(chosen))


def _spoil(draw: st.DrawFn, args: dict[str, Any], path: str) -> None:
    side, dot, field = path.rpartition(".")
    target, rows = (args[side], SPOILT_SITE) if dot else (args, SPOILT_PAIR)
    value = draw(rows[field])
    target.pop(field, None)
    if value is not MISSING:
        target[field] = value
    if field == "ssh_private_key":
        target.pop("ssh_public_key", None)
    if field == "host_private_key":
        target.setdefault("host_public_key", PUBLIC_KEY)
    if field == "host_public_key":
        target.setdefault("host_private_key", HOST_KEY)


@st.composite
def clashing(draw: st.DrawFn) -> ArgumentSet:
    """Draw arguments each of which would do, but not with the others."""
    args, frames = draw(_sound())
    side, other = draw(st.permutations(["left", "right"]))
    frame = frames[side]
    public, private = frame.subnets
    outside = str(frames[other].vpc)
    clashes: list[tuple[str, str, Any]] = [
        ("right.name", "right.name", args["left"]["name"]),
        ("right.cidr_block", "right.cidr_block", args["left"]["cidr_block"]),
        (f"{side}.public_subnet_cidr_block",) * 2 + (outside,),
        (f"{side}.private_subnet_cidr_blocks", f"{side}.private_subnet_cidr_blocks[0]", [outside]),
        (f"{side}.private_subnet_cidr_blocks", f"{side}.private_subnet_cidr_blocks[0]", [str(public)]),
        (f"{side}.availability_zones",) * 2 + ([f"{frame.region[:-1]}9a"],),
        (f"{side}.gateway_private_ip",) * 2 + (str(public[draw(st.integers(0, 3))]),),
        (f"{side}.gateway_private_ip",) * 2 + (str(public[-1]),),
        (f"{side}.gateway_private_ip",) * 2 + (str(private[0][4]),),
        (f"{side}.probe_host_private_ip",) * 2 + (str(private[0][draw(st.integers(0, 3))]),),
        (f"{side}.probe_host_private_ip",) * 2 + (str(public[4]),),
        (f"{side}.additional_cidr_blocks", f"{side}.additional_cidr_blocks[0]", [args[side]["cidr_block"]]),
        (f"{side}.excluded_cidr_blocks", f"{side}.excluded_cidr_blocks[0]", [outside]),
        (f"{side}.excluded_cidr_blocks", f"{side}.excluded_cidr_blocks[0]", [str(public)]),
        (f"{side}.kms_key_arn",) * 2 + ("arn:aws:kms:eu-north-1:123456789012:key/1234abcd-12ab",),
    ]
    path, named, value = draw(st.sampled_from(clashes))
    parent, _, field = path.rpartition(".")
    args[parent][field] = value
    return ArgumentSet(args=args, named=frozenset([named]))


@st.composite
def arbitrary(draw: st.DrawFn) -> ArgumentSet:
    """Draw sound arguments with anything at all in one or two places."""
    args, _ = draw(_sound())
    for _ in range(draw(st.integers(1, 2))):
        side = draw(st.sampled_from(["", "left", "right"]))
        target = args.get(side, {}) if side else args
        fields = SiteArgs.__annotations__ if side else VpnGatewayPairArgs.__annotations__
        if isinstance(target, dict):
            target[draw(st.sampled_from([*fields, "unheard_of"]))] = draw(anything)
    return ArgumentSet(args=args, named=None)


argument_sets: Final = st.one_of(sound(may_exist=True), sound(), spoilt(), clashing(), arbitrary())
