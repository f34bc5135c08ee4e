"""The rights for deploying, from the calls of a stack's whole life, and the rights of the gateways' roles.

The left side is a new network, with a key and a permissions boundary; the right side is in an existing network. Another
pair has `monitoring`.
Proves that docs/iam-deployer-policy.json has exactly the actions that were called and those with another reason;
that the bounded policy is enough for a pair with the boundary (lab/tests/unit/test_api_deployer.py: refusals);
and that a gateway's role, as IAM stored it, may read its own parameters, decrypt them with a key, and nothing
else. Does not prove that AWS's provider calls nothing else, because the lab's stand-in replaces it.
tests/engine/test_changes.py applies its changes with only this policy. `pytest tests/engine/test_iam.py`; there is
nothing to clean up.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moto.iam.access_control import IAMPolicy, PermissionResult

from components.decisions.monitoring import NAMESPACE
from lab.api.decryption import PARAMETER_ARN
from lab.api.policies import is_allowed
from tests.engine.api_process import ApiProcess, running_api
from tests.engine.changes import BASE, KMS_KEY
from tests.engine.deployer import deployer
from tests.engine.deployer_policy import (
    ALSO_NEEDED,
    BOUNDED,
    WITH_A_KEY,
    boundary,
    condition_keys,
    details,
    exists,
    iam_actions,
    policy,
    reasons_table,
    text,
)
from tests.engine.existing_networks import network_of_others
from tests.engine.inline_stack import InlineStack
from tests.engine.program_stack import ProgramStack
from tests.engine.released import PLUGINS, aws_environment, program
from tests.engine.test_program import REGIONS
from tests.engine.without_machines import COMMAND, command_without_machine
from tests.generated import ROOT, require_document, require_section

pytestmark = [pytest.mark.engine, pytest.mark.whole]

POLICY = "docs/iam-deployer-policy.json"
BOUNDED_POLICY = "docs/iam-deployer-policy-bounded.json"
BOUNDARY_POLICY = "docs/iam-gateway-boundary.json"
BOUNDARY = "arn:aws:iam::123456789012:policy/vpn-gateway-boundary"
MANAGED_POLICY_CHARACTERS = 6144
"""Limit of a managed policy, without white space (IAM user guide, "IAM and AWS STS quotas")."""


@dataclass
class Life:
    """Records of a stack from its first `up` to `destroy`."""

    actions: set[str]
    role_policies: dict[str, list[str]]
    """Side -> all policies of its instance's role."""
    parameters: dict[str, list[str]]
    """Side -> ARNs of its parameters."""


@pytest.fixture(scope="module")
def life(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Run up, up without changes, changes of all kinds, some of them taken back, refresh, destroy."""
    with running_api() as api:
        stack = ProgramStack(tmp_path_factory.mktemp("life") / "stack", api).make(engine_environment)
        _prepare(stack, api)
        last_of_preparation = api.calls()[-1]["sequence"]
        stack.up()
        creation = api.calls(after=last_of_preparation)
        policies, parameters = _stored(api)
        last_of_test = api.calls()[-1]["sequence"]
        stack.up()
        _change(stack)
        stack.up()
        stack.cli("config", "rm", "--path", "tags.team")
        stack.cli("config", "rm", "--path", "administratorCidrBlocks[1]")
        stack.cli("config", "rm", "rightPermissionsBoundaryArn")
        stack.up()
        stack.run("refresh", "--yes", "--skip-preview")
        stack.destroy()
        yield Life(
            actions=iam_actions([*creation, *api.calls(after=last_of_test), *_monitored_calls(api, tmp_path_factory)]),
            role_policies=policies,
            parameters=parameters,
        )


def _monitored_calls(api: ApiProcess, folders: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the calls of a pair with `monitoring`, created, changed and destroyed."""
    before = api.calls()[-1]["sequence"]
    basic, detailed = ({**BASE, "verify": True, "monitoring": {"metrics": each}} for each in ("basic", "detailed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(COMMAND, command_without_machine)
        for name, value in aws_environment(api).items():
            patch.setenv(name, value)
        stack = InlineStack(folders.mktemp("monitored") / "stack", PLUGINS)
        stack.up(program(basic))
        stack.up(program({**detailed, "tags": {"team": "network"}}), refresh=True)
        stack.up(program(detailed))
        stack.destroy()
    return api.calls(after=before)


def _prepare(stack: ProgramStack, api: ApiProcess) -> None:
    """Give the left side a key and a boundary, and put the right side into an existing network."""
    network = network_of_others(api, REGIONS["au"], "172.31.0.0/16", "172.31.12.0/24")
    for key in ("rightPublicSubnetCidrBlock", "rightPrivateSubnetCidrBlocks", "rightProbeHostPrivateIp"):
        stack.cli("config", "rm", key)
    for path, value in {
        "leftKmsKeyArn": KMS_KEY,
        "leftPermissionsBoundaryArn": BOUNDARY,
        "rightExistingNetwork.vpcId": network["vpc_id"],
        "rightExistingNetwork.publicSubnetId": network["public_subnet_id"],
        "rightExistingNetwork.privateRouteTableIds[0]": network["private_route_table_ids"][0],
    }.items():
        stack.cli("config", "set", "--path", path, value)


def _change(stack: ProgramStack) -> None:
    for path, value in {
        "tags.team": "network",
        "administratorCidrBlocks[0]": "198.18.0.11/32",
        "administratorCidrBlocks[1]": "198.18.0.12/32",
        "leftPrivateSubnetCidrBlocks[1]": "10.1.11.0/24",
        "rightPermissionsBoundaryArn": BOUNDARY,
    }.items():
        stack.cli("config", "set", "--path", path, value)
    stack.cli("config", "set", "leftInstanceType", "t3.micro")
    stack.cli("config", "set", "leftRootVolumeSize", "20")
    stack.cli("config", "set", "--secret", "psk", "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip")


def _stored(api: ApiProcess) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    policies, parameters = {}, {}
    for side, region in REGIONS.items():
        iam, ssm = api.client("iam", region), api.client("ssm", region)
        (role,) = [
            each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith(f"vpn-{side}-")
        ]
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        policies[side] = [json.dumps(document) for document in documents]
        assert not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        names = [each["Name"] for each in ssm.describe_parameters()["Parameters"]]
        parameters[side] = [ssm.get_parameter(Name=name)["Parameter"]["ARN"] for name in names]
    return policies, parameters


def test_the_committed_policies_have_exactly_the_actions_that_deploying_needs(life: Life) -> None:
    assert not life.actions & ALSO_NEEDED.keys(), "these were called, so they need no other reason"
    actions = life.actions | ALSO_NEEDED.keys()
    require_document(POLICY, text(policy(actions)))
    require_document(BOUNDED_POLICY, text(policy(actions, bounded=True)))
    require_document(BOUNDARY_POLICY, text(boundary()))
    require_section("docs/iam.md", "also-needed", reasons_table(ALSO_NEEDED))
    require_section("docs/iam.md", "with-a-key", reasons_table(WITH_A_KEY))


@pytest.mark.parametrize("document", [POLICY, BOUNDED_POLICY])
def test_every_action_exists_in_aws_and_is_allowed_on_resources_that_it_supports(document: str) -> None:
    committed = json.loads((ROOT / document).read_text())
    actions = [action for statement in committed["Statement"] for action in statement["Action"]]
    assert [action for action in actions if not exists(action)] == []
    assert len(set(actions)) == len(actions)
    for statement in committed["Statement"]:
        kind = re.sub(r"arn:aws:[a-z]+:[^:]*:[^:]*:|[:/].*", "", statement["Resource"])
        for action in statement["Action"]:
            # An action without resource types can be allowed only on `*`.
            kinds = {each["name"] for each in details(action)["resourceTypes"]}
            assert kind == "*" or kind in kinds, (action, kinds)
    assert len(re.sub(r"\s", "", json.dumps(committed))) <= MANAGED_POLICY_CHARACTERS


def test_aws_supports_the_condition_keys_that_bound_the_deployer() -> None:
    keys = {"BoundedRoles": "iam:PermissionsBoundary", "Instances": "ec2:InstanceProfile"}
    unknown = [each for name, key in keys.items() for each in BOUNDED[name] if key not in condition_keys(each)]
    assert unknown == []
    assert "iam:PassedToService" in condition_keys("iam:PassRole")
    assert "cloudwatch:AlarmActions" in condition_keys("cloudwatch:PutMetricAlarm")
    committed = json.loads((ROOT / BOUNDED_POLICY).read_text())["Statement"]
    assert {each["Sid"]: set(each["Action"]) for each in committed if each["Sid"] in BOUNDED} == BOUNDED
    assert "iam:DeleteRolePermissionsBoundary" not in str(committed)


@pytest.mark.whole
def test_the_bounded_policy_is_enough_for_a_pair_with_the_boundary_from_up_to_destroy(
    engine_environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded: Any = {
        **BASE,
        **{side: {**BASE[side], "permissions_boundary_arn": BOUNDARY} for side in ("left", "right")},
    }
    changed = {**bounded, "left": {**bounded["left"], "instance_type": "t3.micro"}}
    with running_api() as api:
        document = (ROOT / BOUNDARY_POLICY).read_text()
        api.client("iam", "eu-west-2").create_policy(PolicyName=BOUNDARY.rpartition("/")[2], PolicyDocument=document)
        with deployer(api, BOUNDED_POLICY, list(REGIONS.values())) as environment:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            stack = InlineStack(tmp_path / "stack", PLUGINS)
            stack.up(program(bounded))
            stack.up(program(changed), refresh=True)
            stack.destroy()
        assert [each for region in REGIONS.values() for each in api.left_over(region)] == []


def _allowed(policies: list[str], action: str, resource: str, parameter: str = "") -> bool:
    """Return whether the policies allow an action; `parameter` is the one that Parameter Store names to KMS."""
    context = {"kms:EncryptionContext:PARAMETER_ARN": parameter}
    results = {
        IAMPolicy(each).is_action_permitted(action, resource, incoming_condition_values=context) for each in policies
    }
    return PermissionResult.PERMITTED in results and PermissionResult.DENIED not in results


def test_the_boundary_allows_a_gateways_role_its_own_parameters_and_none_with_another_name(life: Life) -> None:
    bounds = [text(boundary())]
    for own in (arn for arns in life.parameters.values() for arn in arns):
        foreign = own.replace(":parameter/vpn-", ":parameter/app-")
        allowed = {
            parameter: (
                is_allowed(bounds, "ssm:GetParameter", parameter, {}),
                is_allowed(bounds, "kms:Decrypt", KMS_KEY, {PARAMETER_ARN: parameter}),
            )
            for parameter in (own, foreign)
        }
        assert allowed == {own: (True, True), foreign: (False, False)}
        assert not is_allowed(bounds, "kms:Decrypt", KMS_KEY, {PARAMETER_ARN: None})


def test_the_boundary_allows_a_gateways_role_to_publish_to_the_one_namespace() -> None:
    bounds = [text(boundary())]
    allowed = {
        namespace: is_allowed(bounds, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": namespace})
        for namespace in (NAMESPACE, "AWS/EC2", None)
    }
    assert allowed == {NAMESPACE: True, "AWS/EC2": False, None: False}


def _similar(own: str) -> list[str]:
    """Return ARNs that are similar to a gateway's own parameter."""
    prefix = own.rpartition("/")[0]
    return [f"{prefix}/other", f"{own}-old", f"{prefix}/", own.replace(":parameter/", ":parameter/x/"), "*"]


@pytest.mark.parametrize(("side", "other", "keys"), [("uk", "au", {KMS_KEY}), ("au", "uk", set[str]())])
def test_a_gateways_role_reads_its_own_parameters_and_nothing_else(
    life: Life, side: str, other: str, keys: set[str]
) -> None:
    policies, own, others = life.role_policies[side], life.parameters[side], life.parameters[other]
    assert (len(own), len(others)) == (3, 3)
    assert all(_allowed(policies, "ssm:GetParameter", arn) for arn in own)
    foreign = [*others, *_similar(own[0])]
    assert [arn for arn in foreign if _allowed(policies, "ssm:GetParameter", arn)] == []
    actions = life.actions | ALSO_NEEDED.keys() | WITH_A_KEY.keys() | {"ssm:GetParameters", "ssm:GetParametersByPath"}
    resources = [*own, *others, KMS_KEY, f"{KMS_KEY}0", KMS_KEY.replace("eu-west-2", "ap-southeast-2"), "*"]
    granted = {
        (action, resource)
        for action in actions
        for resource in resources
        for parameter in [*own, *foreign]
        if _allowed(policies, action, resource, parameter)
    }
    assert granted == {("ssm:GetParameter", arn) for arn in own} | {("kms:Decrypt", key) for key in keys}
    assert {arn for key in keys for arn in own if _allowed(policies, "kms:Decrypt", key, arn)} == set(
        own if keys else []
    )
    assert [arn for key in keys for arn in ["", *foreign] if _allowed(policies, "kms:Decrypt", key, arn)] == []


def test_the_actions_for_a_key_exist_in_kms() -> None:
    assert [action for action in WITH_A_KEY if not (action.startswith("kms:") and exists(action))] == []
