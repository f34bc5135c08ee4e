"""One preview for each argument that changes, over a pair that is up: docs/changes.md has what it says.

Proves what the engine plans, with the lab's stand-ins of the providers. Does not prove what an `up` then does (for a
few test_program.py does), nor how long an outage is (docs/guarantees.md). `pytest tests/engine/test_changes.py`, some
minutes; nothing to clean up.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.api_process import ApiProcess, running_api
from tests.engine.changes import BASE, CHANGES, INSTANCE, Change, Plan, does, rows_missing, table
from tests.engine.existing_networks import network_of_others
from tests.engine.inline_stack import InlineStack
from tests.engine.previews import preview
from tests.engine.released import PLUGINS, aws_environment, program
from tests.generated import ROOT, require_section

pytestmark = [pytest.mark.engine, pytest.mark.whole, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def plans(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Change, Plan]]:
    """Bring the pair up and preview every change."""
    folder = tmp_path_factory.mktemp("changes")
    with running_api() as api, pytest.MonkeyPatch.context() as patch:
        for name, value in {**aws_environment(api), **_deployers(api, folder)}.items():
            patch.setenv(name, value)
        stack = InlineStack(folder / "stack", PLUGINS)
        stack.up(program(BASE))
        assert preview(stack, BASE).operations == {}
        theirs = network_of_others(api, BASE["left"]["region"], BASE["left"]["cidr_block"], "10.1.1.0/24")
        yield {change: preview(stack, change.arguments(theirs)) for change in CHANGES}


def _deployers(api: ApiProcess, folder: Path) -> dict[str, str]:
    """Make a profile and a role to deploy by; the role has the documented policy and no other."""
    iam = api.client("iam", "eu-west-2")
    trust = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}'
    )
    iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=trust)
    policy = (ROOT / "docs/iam-deployer-policy.json").read_text()
    iam.put_role_policy(RoleName="deployer", PolicyName="deployer", PolicyDocument=policy)
    profiles = folder / "credentials"
    profiles.write_text("[deployer]\naws_access_key_id = test\naws_secret_access_key = test\n")
    return {"AWS_SHARED_CREDENTIALS_FILE": str(profiles), "AWS_CONFIG_FILE": os.devnull}


def test_every_argument_has_a_row() -> None:
    assert rows_missing() == []


def test_the_table_says_what_the_previews_say(plans: dict[Change, Plan]) -> None:
    require_section("docs/changes.md", "changes", table(plans))


def test_nothing_but_what_places_a_side_touches_its_network_or_identity(plans: dict[Change, Plan]) -> None:
    placing = {f"left.{name}" for name in ("name", "region", "cidr_block", "availability_zones", "gateway_private_ip")}
    placing |= {
        f"left.{name}" for name in ("public_subnet_cidr_block", "private_subnet_cidr_blocks", "existing_network")
    }
    assert {change.argument for change, plan in plans.items() if "network" in does(plan)} <= placing


ANNOUNCED = {
    "profile",
    "psk",
    "secret_delivery",
    "ssh_private_key",
    "ssh_public_key",
    "left.host_private_key",
    "left.additional_cidr_blocks",
    "left.excluded_cidr_blocks",
}
"""Arguments that do not name the instance and replace it all the same."""


def test_a_replacement_that_one_may_not_expect_is_announced_at_preview(plans: dict[Change, Plan]) -> None:
    announced = {change.argument for change, plan in plans.items() if _announced(plan)}
    assert announced >= ANNOUNCED
    for change, plan in plans.items():
        assert _announced(plan) <= set(plan.lost(INSTANCE)), change
        # The other side's gateway is never the one that was meant.
        assert "vpn-au-gateway" not in set(plan.lost(INSTANCE)) - _announced(plan), change


@pytest.mark.parametrize(
    ("argument", "reasons"),
    [
        ("psk", {"uk": "psk", "au": "psk"}),
        ("left.additional_cidr_blocks", {"uk": "additional_cidr_blocks", "au": "peer uk"}),
        ("left.excluded_cidr_blocks", {"uk": "excluded_cidr_blocks", "au": "peer uk"}),
    ],
)
def test_the_announcement_says_for_what_each_gateway_is_replaced(
    plans: dict[Change, Plan], argument: str, reasons: dict[str, str]
) -> None:
    (plan,) = [plan for change, plan in plans.items() if change.argument == argument]
    assert [each.split(":")[0] for each in plan.warnings if "is to be replaced" in each] == [
        f"{side}-gateway is to be replaced, for another {reasons[side]}" for side in ("au", "uk")
    ]


def _announced(plan: Plan) -> set[str]:
    return {f"vpn-{text.split()[0]}" for text in plan.warnings if "is to be replaced" in text}
