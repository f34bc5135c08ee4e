"""Every change of docs/changes.md is previewed, applied and taken back, on one pair that is up.

Proves that the engine and the providers' stand-ins can go from one set of arguments to another and back, that a preview
then plans no change, and that the document describes it. The lab's API refuses what AWS refuses, and what
docs/iam-deployer-policy.json does not allow, because that policy is the deployer's only one. Does not prove how long an
outage is (docs/guarantees.md), nor that the machines then work. There is nothing to clean up.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from tests.engine.api_process import ApiProcess, running_api
from tests.engine.changes import (
    BASE,
    CHANGES,
    KMS_KEY,
    OWN_ADDRESS,
    THEIRS,
    Change,
    row,
    rows_missing,
    table,
    verifying,
)
from tests.engine.deployer import ROLE, deployer
from tests.engine.existing_networks import network_of_others
from tests.engine.inline_stack import InlineStack
from tests.engine.plans import INSTANCE, Plan, does
from tests.engine.previews import preview, update
from tests.engine.released import PLUGINS
from tests.engine.without_machines import COMMAND, command_without_machine
from tests.generated import ROOT, require_section, section
from tests.unit.gateway_documents import HOST_KEY, OTHER_KEY, OTHER_PUBLIC_KEY, PUBLIC_KEY

pytestmark = pytest.mark.engine

DOCUMENT = "docs/changes.md"
POLICY = "docs/iam-deployer-policy.json"
REGIONS = ("eu-west-2", "eu-west-1", "ap-southeast-2")
PLACING = {
    "left.name",
    "left.region",
    "left.cidr_block",
    "left.public_subnet_cidr_block",
    "left.private_subnet_cidr_blocks",
    "left.availability_zones",
    "left.existing_network",
    "left.gateway_private_ip",
}
"""The arguments whose changes may replace the network or a gateway's identity."""

GATEWAYS = {"vpn-uk-gateway", "vpn-au-gateway"}
ROOTS = ("vpn-uk-gateway", "vpn-uk-probe-host")
"""The instances that have a root volume of `left.root_volume_size`."""

REASONS = {
    "profile": {"uk": "ppk, profile", "au": "ppk, profile"},
    "psk": {"uk": "psk", "au": "psk"},
    "ppk": {"uk": "ppk", "au": "ppk"},
    "postquantum": {"uk": "ppk", "au": "ppk"},
    "secret_delivery": {"uk": "secret_delivery", "au": "secret_delivery"},
    "ssh_private_key": {"uk": "ssh_public_key", "au": "ssh_public_key"},
    "ssh_public_key": {"uk": "ssh_public_key", "au": "ssh_public_key"},
    "left.host_private_key": {"uk": "SSH host key"},
    "left.additional_cidr_blocks": {"uk": "additional_cidr_blocks", "au": "peer uk"},
    "administrator_cidr_blocks": {"uk": "administrator_cidr_blocks", "au": "administrator_cidr_blocks"},
    "left.excluded_cidr_blocks": {"uk": "excluded_cidr_blocks", "au": "peer uk"},
}
"""Argument whose change replaces an instance -> side -> the reason that the preview announces."""


@dataclass
class Pair:
    """The deployed pair of `BASE`."""

    stack: InlineStack
    api: ApiProcess
    theirs: Mapping[object, Any]
    """What `THEIRS` and `OWN_ADDRESS` stand for."""
    arguments: Any = None
    """The arguments with which it is deployed; None if a failed update left that unknown."""
    base: Any = field(default_factory=lambda: BASE)
    """The arguments that a test starts from."""

    def start(self) -> Self:
        """Return the pair with its base's arguments, also after a test that failed."""
        if self.arguments != self.base:
            # A root volume may be too large for the base.
            replace = [name for name in ROOTS if name in self.stack.resources()] if self.arguments is None else []
            self.update(self.base, replace=replace)
        return self

    def update(self, arguments: Any, *, replace: Sequence[str] = ()) -> Plan:
        """Run `pulumi up`, after which a preview must plan no change. It replaces the resources of these names."""
        self.arguments = None
        urns = [self.stack.resources()[name]["urn"] for name in replace]
        plan = update(self.stack, arguments, replace=urns)
        settled = preview(self.stack, arguments)
        assert (settled.refused, settled.operations) == ("", {})
        self.arguments = arguments
        return plan


@pytest.fixture(scope="module")
def shared(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("changes")
    with (
        running_api() as api,
        deployer(api, POLICY, REGIONS) as environment,
        another_deployer(api, folder) as profiles,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in {**environment, **profiles}.items():
            patch.setenv(name, value)
        # The engine saves the state at the end of an operation, not after each step. Nothing fails here on purpose.
        patch.setenv("PULUMI_SKIP_CHECKPOINTS", "true")
        region = BASE["left"]["region"]
        theirs = {
            THEIRS: network_of_others(api, region, BASE["left"]["cidr_block"], "10.1.1.0/24"),
            OWN_ADDRESS: api.client("ec2", region).allocate_address(Domain="vpc")["AllocationId"],
        }
        others = _left_over(api)
        pair = Pair(InlineStack(folder / "stack", PLUGINS), api, theirs)
        pair.update(BASE)
        yield pair
        pair.stack.destroy()
        assert _left_over(api) == others


@pytest.fixture
def pair(shared: Pair) -> Pair:
    return shared.start()


@pytest.fixture(scope="module")
def shared_verified(shared: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Yield a pair with `verify`. Its commands run on this machine and do nothing, because no gateway boots."""
    stack = InlineStack(tmp_path_factory.mktemp("verified") / "stack", PLUGINS)
    pair = Pair(stack, shared.api, shared.theirs, base=verifying(BASE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(COMMAND, command_without_machine)
        yield pair
        stack.destroy()


@pytest.fixture
def verified(shared_verified: Pair) -> Pair:
    return shared_verified.start()


def _left_over(api: ApiProcess) -> list[str]:
    return [each for region in REGIONS for each in api.left_over(region)]


@contextmanager
def another_deployer(api: ApiProcess, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment of a profile; create a role with the documented policy that the deployer may assume."""
    iam = api.client("iam", "eu-west-2")
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=_document(statement))["Role"]["Arn"]
    iam.put_role_policy(RoleName="deployer", PolicyName="documented", PolicyDocument=(ROOT / POLICY).read_text())
    assume = _document({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role})
    iam.put_role_policy(RoleName=ROLE, PolicyName="assume", PolicyDocument=assume)
    profiles = folder / "credentials"
    profiles.write_text("[deployer]\naws_access_key_id = test\naws_secret_access_key = test\n")
    yield {"AWS_SHARED_CREDENTIALS_FILE": str(profiles), "AWS_CONFIG_FILE": os.devnull}
    iam.delete_role_policy(RoleName=ROLE, PolicyName="assume")


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _require_row(change: Change, plan: Plan, back: Plan | None, verified: Plan | None = None) -> None:
    with (ROOT / DOCUMENT).open() as document:
        # `make generated` runs tests in parallel, and each writes its own row.
        fcntl.flock(document, fcntl.LOCK_EX)
        present = section(DOCUMENT, "changes")
        require_section(DOCUMENT, "changes", table(present, change, row(change, plan, back, verified)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(each, marks=[] if each.in_make_test else pytest.mark.whole, id=f"{each.argument}: {each.what}")
        for each in CHANGES
    ],
)
def test_a_change_does_what_its_row_says_and_can_be_taken_back(
    pair: Pair, change: Change, request: pytest.FixtureRequest
) -> None:
    start, wanted = change.start(), change.arguments(pair.theirs)
    if change.before:
        pair.update(start)
    plan = preview(pair.stack, wanted)
    assert change.argument in PLACING or "network" not in does(plan)
    _require_announcement(change, plan)
    assert bool(plan.refused) == bool(change.refused)
    assert plan.refused.startswith(change.refused)
    if plan.refused:
        assert preview(pair.stack, start).operations == {}
        verified, back = None, None
        if change.needs_verify:
            verified, back = _with_verify(change, request.getfixturevalue("verified"))
        _require_row(change, plan, back, verified)
    elif wanted.get("verify"):
        # Only tests/scenarios has the machines that a proof needs.
        _require_row(change, plan, None)
    else:
        assert does(pair.update(wanted)) == does(plan)
        back = _take_back(pair, change, start)
        # A root volume that grows is used by a command, which only a pair with `verify` has.
        differs = does(plan).startswith("**instance replaced") or change.kept
        with_verify = _with_verify(change, request.getfixturevalue("verified"))[0] if differs else None
        _require_row(change, plan, back, with_verify)


def _take_back(pair: Pair, change: Change, start: Any) -> Plan:
    """Return the plan of going back to `start`, and go back, if need be with other instances."""
    if not change.kept:
        return pair.update(start)
    plan = preview(pair.stack, start)
    assert plan.refused.startswith(change.kept)
    pair.update(start, replace=ROOTS)
    return plan


def _with_verify(change: Change, verified: Pair) -> tuple[Plan, Plan | None]:
    """Return the plan of a change with `verify`. If it replaces no gateway, apply it and take it back.

    The second plan is that of taking it back.
    """
    both = change.start(), change.arguments(verified.theirs)
    start, wanted = ({**verifying(arguments), **change.with_verify} for arguments in both)
    if change.before or change.with_verify:
        verified.update(start)
    plan = preview(verified.stack, wanted)
    if plan.refused or not GATEWAYS.isdisjoint(plan.lost(INSTANCE)):
        return plan, None
    assert does(verified.update(wanted)) == does(plan)
    back = _take_back(verified, change, start)
    assert GATEWAYS.isdisjoint(back.lost(INSTANCE))
    return plan, back


def _require_announcement(change: Change, plan: Plan) -> None:
    """Fail unless each replacement of an instance that a user may not expect is announced with its reason."""
    announced = {text.split("-gateway")[0]: text for text in plan.warnings if "will be replaced" in text}
    lost = set(plan.lost(INSTANCE))
    assert {f"vpn-{side}-gateway" for side in announced} <= lost
    assert "vpn-au-gateway" not in lost or "au" in announced
    if lost and not change.before and change.argument in REASONS and len(change.what.split(", and")) == 1:
        assert {side: text.split(". ")[0] for side, text in announced.items()} == {
            side: f"{side}-gateway will be replaced because of another {reason}"
            for side, reason in REASONS[change.argument].items()
        }


def test_every_argument_has_a_row_and_every_row_a_change() -> None:
    assert rows_missing() == []
    lines = section(DOCUMENT, "changes").splitlines()
    assert [
        line for line in lines if line.startswith("| `") and not any(line.startswith(each.key) for each in CHANGES)
    ] == []
    assert [each.key for each in CHANGES if not any(line.startswith(each.key) for line in lines)] == []


def test_a_preview_names_a_foreign_host_in_a_subnet_that_is_to_be_replaced(pair: Pair) -> None:
    ec2 = pair.api.client("ec2", "eu-west-2")
    subnet = pair.stack.resources()["vpn-uk-private-subnet-10.1.10.0-24"]["id"]
    host = ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress="10.1.10.77", Description="theirs")
    interface = host["NetworkInterface"]["NetworkInterfaceId"]
    moved = {**BASE, "left": {**BASE["left"], "availability_zones": ["eu-west-2c"]}}
    (warning,) = [each for each in preview(pair.stack, moved).warnings if "deleted before" in each]
    assert f"10.1.10.0/24 ({subnet})" in warning
    assert f"It has {interface} (10.1.10.77, theirs). " in warning
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    assert [each for each in preview(pair.stack, moved).warnings if "deleted before" in each] == []


def test_parameters_are_encrypted_with_awss_own_key_again_after_the_callers_key_is_removed(pair: Pair) -> None:
    def keys() -> set[str]:
        # Another test's pair may have parameters in the same region.
        own = {each["id"] for each in pair.stack.resources().values() if each["type"] == "aws:ssm/parameter:Parameter"}
        parameters = pair.api.client("ssm", "eu-west-2").describe_parameters()["Parameters"]
        return {each["KeyId"] for each in parameters if each["Name"] in own}

    pair.update({**BASE, "left": {**BASE["left"], "kms_key_arn": KMS_KEY}})
    assert keys() == {KMS_KEY}
    pair.update(BASE)
    assert keys() == {"alias/aws/ssm"}


@pytest.mark.whole
def test_a_larger_root_volume_is_used_in_place_and_a_smaller_one_needs_another_instance(verified: Pair) -> None:
    ec2 = verified.api.client("ec2", "eu-west-2")

    def volumes() -> dict[str, tuple[str, int]]:
        instances = {name: verified.stack.resources()[name]["id"] for name in ROOTS}
        sizes = {each["Attachments"][0]["InstanceId"]: each["Size"] for each in ec2.describe_volumes()["Volumes"]}
        return {name: (each, sizes[each]) for name, each in instances.items()}

    def sized(gib: int) -> Any:
        return {**verified.base, "left": {**verified.base["left"], "root_volume_size": gib}}

    before = volumes()
    plan = verified.update(sized(20))
    # The command's script has the size, and it runs after the instance's update because it depends on the instance.
    assert {name: operation for (_, name), operation in plan.operations.items()} == dict.fromkeys(
        (*ROOTS, "vpn-uk-configure"), "update"
    )
    order = [name for _, name in plan.operations]
    assert order.index("vpn-uk-gateway") < order.index("vpn-uk-configure")
    assert volumes() == {name: (instance, 20) for name, (instance, _) in before.items()}
    refused = preview(verified.stack, sized(10)).refused
    assert re.match(
        "root_volume_size '10': is less than the 20 GiB of uk-(gateway|probe-host)'s root volume, and a volume cannot "
        "shrink; set it to 20 or more, or replace the machine: pulumi up --replace 'urn:pulumi:",
        refused,
    )
    smaller = verified.update(sized(10), replace=ROOTS)
    assert smaller.names("replace", INSTANCE) == [*ROOTS]
    assert {size for _, size in volumes().values()} == {10}
    # A machine that gets another instance anyway gets a smaller volume, too.
    with_image = {**verified.base, "left": {**BASE["left"], "image": "debian-12"}}
    assert preview(verified.stack, with_image).names("replace", INSTANCE) == [*ROOTS]
    verified.update(verified.base, replace=ROOTS)


@pytest.mark.whole
def test_a_login_key_that_no_gateway_admits_is_refused_unless_the_gateways_are_replaced(verified: Pair) -> None:
    def key_names() -> list[tuple[str, str]]:
        resources = verified.stack.resources()
        return [
            (resources[f"vpn-{side}-gateway"]["outputs"]["keyName"], resources[f"vpn-{side}-key-pair"]["id"])
            for side in ("uk", "au")
        ]

    own = {**verified.base, "ssh_private_key": HOST_KEY, "ssh_public_key": PUBLIC_KEY}
    # At preview, a key that the component would generate is unknown.
    for arguments in (own, {**BASE, "verify": True}):
        refused = preview(verified.stack, arguments).refused
        assert refused.startswith("ssh_private_key '(secret)': is not a key that ")
        assert "-gateway admits now, so nothing could log in to change it; keep the former key" in refused
        assert "pulumi up --replace 'urn:pulumi:" in refused
    admitted = {**verified.base, "ssh_authorized_keys": [PUBLIC_KEY]}
    # Instances with the newest user data stay when `verify` is turned off, and nothing would take a key off their list.
    verified.update(admitted, replace=sorted(GATEWAYS))
    refused = preview(verified.stack, {**verified.base, "verify": False}).refused
    assert refused.startswith("ssh_authorized_keys '…': still log in to ")
    assert GATEWAYS.isdisjoint(verified.update(own).lost(INSTANCE))
    # The running instance has the key pair of its launch, and the next one the newest.
    assert all(name != newest for name, newest in key_names())
    assert set(verified.update(verified.base, replace=sorted(GATEWAYS)).lost(INSTANCE)) >= GATEWAYS
    assert all(name == newest for name, newest in key_names())


@pytest.mark.whole
def test_verify_is_turned_on_with_the_key_that_the_gateways_have_and_with_no_other(pair: Pair) -> None:
    keys = {"ssh_private_key": OTHER_KEY, "ssh_public_key": OTHER_PUBLIC_KEY}
    pair.update({**BASE, **keys})
    assert preview(pair.stack, {**BASE, **keys, "verify": True}).refused == ""
    own = {"ssh_private_key": HOST_KEY, "ssh_public_key": PUBLIC_KEY}
    for other in (own, {}):
        refused = preview(pair.stack, {**BASE, **other, "verify": True}).refused
        assert refused.startswith("ssh_private_key '(secret)': is not a key that ")
    # Without `verify`, another key brings other instances, and so does another image with it.
    assert preview(pair.stack, {**BASE, **own}).refused == ""
    images = {side: {**BASE[side], "image": "debian-12"} for side in ("left", "right")}
    assert preview(pair.stack, {**BASE, **own, **images, "verify": True}).refused == ""
