"""The changes of docs/changes.md, one argument at a time, and their rows in it."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from components.inputs.arguments import SiteArgs, VpnGatewayPairArgs
from lab.api.images import BUILDS, image_id
from tests.engine.plans import Plan, does, loses
from tests.unit.gateway_documents import HOST_KEY, OTHER_KEY, OTHER_PUBLIC_KEY, PUBLIC_KEY
from tests.unit.recording import article_arguments
from tests.unit.spoilt_values import MISSING

THEIRS: Final = object()
"""Stands for an existing network with `BASE`'s left range, whose ids are not known beforehand."""

OWN_ADDRESS: Final = object()
"""Stands for the allocation id of an Elastic IP that the pair has not created."""

OWN_IMAGE: Final = image_id("eu-west-2", 12, BUILDS[12][0])
"""An older Debian image, named by its id. The lab's API has no images of customers."""

KMS_KEY: Final = "arn:aws:kms:eu-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PSK: Final = "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip"
PPK: Final = "Zr8Kq1tVb5NwYx3Lg7Ps0Dm4Jf6Hc9Ua2Ei+oR/kT8s="

BASE: Final[Mapping[str, Any]] = {
    # The zone is named because EC2 would choose any, and then "another zone" would sometimes be the same one.
    "left": {**article_arguments()["left"], "availability_zones": ["eu-west-2a"]},
    "right": {"name": "au", "region": "ap-southeast-2", "cidr_block": "172.31.0.0/16"},
    "administrator_cidr_blocks": ["198.18.0.10/32"],
    # No machine boots here, so there is nothing to verify.
    "verify": False,
}


def verifying(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with `verify`, and with a key to log in with if they have none.

    The gateways would not admit a key that is generated again when an argument is taken back.
    """
    login = {"ssh_private_key": OTHER_KEY, "ssh_public_key": OTHER_PUBLIC_KEY}
    return {**({} if "ssh_public_key" in arguments else login), **arguments, "verify": True}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of one argument."""

    argument: str
    value: Any
    what: str
    """The change in words."""
    also: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that change with it."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """Arguments before the change, if they differ from `BASE`."""
    with_verify: Mapping[str, Any] = field(default_factory=dict)
    """More arguments with `verify`, before the change and after it."""
    refused: str = ""
    """Beginning of its refusal; empty if it is not refused."""
    needs_verify: bool = False
    """Whether it is refused only because `BASE` has no `verify`."""
    kept: str = ""
    """Beginning of the refusal to take it back; empty if it can be taken back without other instances."""
    in_make_test: bool = False
    """Whether `make test` applies it: changes that once failed, and refused ones."""

    def __hash__(self) -> int:
        return id(self)

    @property
    def key(self) -> str:
        """Return the beginning of the change's row in docs/changes.md."""
        return f"| `{self.argument}` | {self.what} |"

    def start(self) -> Any:
        """Return the arguments before the change."""
        return _with(BASE, self.before, {})

    def arguments(self, theirs: Mapping[object, Any]) -> Any:
        """Return the changed arguments; `theirs` has what `THEIRS` and `OWN_ADDRESS` stand for."""
        return _with(self.start(), {self.argument: self.value, **self.also}, theirs)


def _with(base: Mapping[str, Any], changed: Mapping[str, Any], theirs: Mapping[object, Any]) -> Any:
    args = copy.deepcopy(dict(base))
    for path, value in changed.items():
        *parents, key = path.split(".")
        target = args[parents[0]] if parents else args
        target.pop(key, None)
        if value is not MISSING:
            target[key] = theirs[value] if value in (THEIRS, OWN_ADDRESS) else value
    return args


_NETWORK: Final = {
    f"left.{key}": MISSING
    for key in ("public_subnet_cidr_block", "private_subnet_cidr_blocks", "gateway_private_ip", "probe_host_private_ip")
}
"""Arguments to leave out when the VPC gets another range."""

CHANGES: Final = (
    Change(argument="left.name", value="gb", what="another name", in_make_test=True),
    Change(
        argument="left.region",
        value="eu-west-1",
        what="another region",
        also={"left.availability_zones": MISSING},
        in_make_test=True,
    ),
    Change(
        argument="left.region",
        value="eu-west-1",
        what="another region, and another name",
        also={"left.availability_zones": MISSING, "left.name": "ie"},
    ),
    Change(argument="left.cidr_block", value="10.2.0.0/16", what="another range", also=_NETWORK, in_make_test=True),
    Change(
        argument="left.cidr_block",
        value="172.31.0.0/16",
        what="the other side's range, in exchange",
        also={**_NETWORK, "right.cidr_block": "10.1.0.0/16"},
    ),
    Change(
        argument="left.public_subnet_cidr_block",
        value="10.1.2.0/24",
        what="another range",
        also={"left.gateway_private_ip": "10.1.2.254"},
    ),
    Change(argument="left.public_subnet_cidr_block", value="10.1.0.0/23", what="a wider range around it"),
    Change(
        argument="left.public_subnet_cidr_block",
        value="10.1.10.0/24",
        what="the private subnet's range, in exchange",
        also={
            "left.private_subnet_cidr_blocks": ["10.1.1.0/24"],
            "left.gateway_private_ip": "10.1.10.254",
            "left.probe_host_private_ip": "10.1.1.41",
        },
        refused="uk: subnet 10.1.",
        in_make_test=True,
    ),
    Change(
        argument="left.public_subnet_cidr_block",
        value=MISSING,
        what="left out",
        also={"left.gateway_private_ip": MISSING},
    ),
    Change(
        argument="left.private_subnet_cidr_blocks",
        value=["10.1.10.0/24", "10.1.11.0/24"],
        what="a range added at the end",
    ),
    Change(
        argument="left.private_subnet_cidr_blocks",
        value=["10.1.11.0/24", "10.1.10.0/24"],
        what="a range added at the front",
        in_make_test=True,
    ),
    Change(
        argument="left.private_subnet_cidr_blocks",
        value=["10.1.11.0/24", "10.1.10.0/24"],
        what="the same ranges in another order",
        before={"left.private_subnet_cidr_blocks": ["10.1.10.0/24", "10.1.11.0/24"]},
    ),
    Change(
        argument="left.private_subnet_cidr_blocks",
        value=["10.1.11.0/24"],
        what="another range",
        also={"left.probe_host_private_ip": "10.1.11.41"},
    ),
    Change(
        argument="left.private_subnet_cidr_blocks",
        value=["10.1.10.0/23"],
        what="a wider range around it",
        refused="uk: subnet 10.1.10.0/23 cannot be created: vpc-",
        in_make_test=True,
    ),
    Change(argument="left.availability_zones", value=["eu-west-2c"], what="another zone", in_make_test=True),
    Change(
        argument="left.availability_zones",
        value=["eu-west-2b", "eu-west-2a"],
        what="the same zones in another order",
        before={"left.availability_zones": ["eu-west-2a", "eu-west-2b"]},
    ),
    Change(
        argument="left.existing_network",
        value=THEIRS,
        what="an existing network",
        also={
            "left.public_subnet_cidr_block": MISSING,
            "left.private_subnet_cidr_blocks": MISSING,
            "left.availability_zones": MISSING,
            "left.probe_host_private_ip": MISSING,
        },
    ),
    Change(argument="left.additional_cidr_blocks", value=["10.5.0.0/16"], what="a range added"),
    Change(
        argument="left.additional_cidr_blocks",
        value=["10.6.0.0/16", "10.5.0.0/16"],
        what="the same ranges in another order",
        before={"left.additional_cidr_blocks": ["10.5.0.0/16", "10.6.0.0/16"]},
    ),
    Change(argument="left.excluded_cidr_blocks", value=["10.1.128.0/17"], what="a range added"),
    Change(
        argument="left.permissions_boundary_arn",
        value="arn:aws:iam::123456789012:policy/boundary",
        what="your own",
    ),
    # In `make test`, another test of test_changes.py adds and removes it, and looks at the parameters.
    Change(argument="left.kms_key_arn", value=KMS_KEY, what="your own"),
    Change(argument="left.gateway_private_ip", value="10.1.1.253", what="another address"),
    Change(argument="left.gateway_private_ip", value=MISSING, what="left out"),
    Change(argument="left.probe_host_private_ip", value="10.1.10.42", what="another address"),
    Change(argument="left.probe_host_private_ip", value=MISSING, what="left out"),
    Change(argument="left.allocation_id", value=OWN_ADDRESS, what="your own Elastic IP"),
    Change(argument="left.retain_elastic_ip", value=True, what="kept at the end"),
    Change(argument="left.instance_type", value="t3.micro", what="another type, same architecture"),
    Change(argument="left.image", value="debian-12", what="another release"),
    Change(argument="left.image", value=OWN_IMAGE, what="an image's id"),
    Change(
        argument="left.root_volume_size",
        value=20,
        what="larger",
        kept="root_volume_size '8': is less than the 20 GiB of uk-",
    ),
    Change(
        argument="left.update_window",
        value="02:00",
        what="a window for each side",
        also={"right.update_window": "04:00"},
        refused="left.update_window '02:00': needs SSH",
        needs_verify=True,
    ),
    Change(argument="left.aws_profile", value="deployer", what="another profile, the same account"),
    Change(
        argument="left.assume_role_arn",
        value="arn:aws:iam::123456789012:role/deployer",
        what="another role, the same account",
    ),
    Change(
        argument="left.host_private_key", value=HOST_KEY, what="your own", also={"left.host_public_key": PUBLIC_KEY}
    ),
    Change(argument="profile", value="article-2014", what="another profile"),
    Change(argument="profile", value="article-2014", what="another profile, and another key", also={"psk": PSK}),
    Change(argument="psk", value=PSK, what="another key"),
    Change(argument="ppk", value=PPK, what="another key"),
    Change(argument="postquantum", value=False, what="no longer"),
    Change(argument="secret_delivery", value="user-data", what="in the user data"),
    Change(
        argument="administrator_cidr_blocks",
        value=["198.18.0.10/32", "198.18.0.11/32"],
        what="a range added at the end",
    ),
    Change(
        argument="administrator_cidr_blocks",
        value=["198.18.0.11/32", "198.18.0.10/32"],
        what="the same ranges in another order",
        before={"administrator_cidr_blocks": ["198.18.0.10/32", "198.18.0.11/32"]},
    ),
    Change(argument="administrator_cidr_blocks", value=["198.18.0.11/32"], what="another range"),
    Change(
        argument="administrator_cidr_blocks",
        value=["198.18.0.10/32", "10.1.10.41/32"],
        what="a range added, inside a side's networks",
    ),
    Change(argument="administrator_cidr_blocks", value=MISSING, what="left out"),
    Change(argument="ssh_private_key", value=HOST_KEY, what="your own", also={"ssh_public_key": PUBLIC_KEY}),
    Change(
        argument="ssh_private_key",
        value=HOST_KEY,
        what="another key, which was in `ssh_authorized_keys` before",
        also={"ssh_public_key": PUBLIC_KEY},
        before={"ssh_private_key": OTHER_KEY, "ssh_public_key": OTHER_PUBLIC_KEY},
        with_verify={"ssh_authorized_keys": [PUBLIC_KEY, OTHER_PUBLIC_KEY]},
    ),
    Change(
        argument="ssh_authorized_keys",
        value=[PUBLIC_KEY],
        what="a key added",
        refused="ssh_authorized_keys '…': needs a login",
        needs_verify=True,
    ),
    Change(argument="ssh_public_key", value=PUBLIC_KEY, what="your own, without the private key"),
    Change(argument="verify", value=True, what="turned on"),
    Change(argument="verify_timeout_seconds", value=900, what="longer"),
    Change(
        argument="monitoring",
        value={"metrics": "detailed"},
        what="metrics, alarms and a dashboard",
        refused="monitoring '…': needs a login",
        needs_verify=True,
    ),
    Change(argument="tags", value={"team": "network"}, what="a tag added"),
    Change(
        argument="right.cidr_block",
        value="10.1.128.0/17",
        what="a range that overlaps the other side's",
        refused="right.cidr_block '10.1.128.0/17': overlaps",
    ),
)
"""Only the left side's arguments: the right side's work alike."""


def rows_missing() -> list[str]:
    """Return a sentence for each argument that has no change."""
    known = {argument for change in CHANGES for argument in (change.argument, *change.also)}
    arguments = {f"left.{name}" for name in SiteArgs.__annotations__}
    arguments |= VpnGatewayPairArgs.__annotations__.keys() - {"left", "right"}
    return [
        f"CHANGES in tests/engine/changes.py has no row for the argument {name!r}: add a change of it, then run "
        "`make generated`"
        for name in sorted(arguments - known)
    ]


def row(change: Change, plan: Plan, back: Plan | None, verified: Plan | None) -> str:
    """Return a change's row of docs/changes.md.

    `back` is the plan of taking it back, None if that was not tried. `verified` is the plan with `verify`, None if that
    is the same.
    """
    if plan.refused and verified is None:
        return f"{change.key}  | {does(plan)} | {loses(plan)} |  |"
    taken_back = "not tried" if back is None else does(back)
    with_verify = "the same" if verified is None or does(verified) == does(plan) else does(verified)
    return f"{change.key} {with_verify} | {does(plan)} | {loses(plan)} | {taken_back} |"


HEAD: Final = (
    "| argument | change | with `verify` | without `verify` | traffic lost without it | taking it back |\n"
    "|---|---|---|---|---|---|\n"
)


def table(present: str, change: Change, written: str) -> str:
    """Return the table `present` with this change's row replaced, and without rows of removed changes."""
    rows = {each.key: line for line in present.splitlines() for each in CHANGES if line.startswith(each.key)}
    rows[change.key] = written
    return HEAD + "".join(f"{rows[each.key]}\n" for each in CHANGES if each.key in rows)
