"""Proves that this version's component, over an earlier version's state, replaces no VPC, address or interface.

With `verify`, it replaces no instance either. Does not prove that the update succeeds: the test runs only a preview,
without a refresh. `pytest tests/engine/test_changes_of_release.py`; there is nothing to clean up.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.api_process import running_api
from tests.engine.inline_stack import InlineStack
from tests.engine.plans import IDENTITY, INSTANCE, Plan
from tests.engine.previews import preview
from tests.engine.released import PLUGINS, STATES, aws_environment

pytestmark = pytest.mark.engine

RELEASES = sorted(STATES.glob("*.json"))


@pytest.fixture
def stack(engine_environment: dict[str, str], tmp_path: Path) -> Iterator[InlineStack]:
    """Yield a stack for an imported state. Its API has none of the state's resources."""
    with running_api() as api, pytest.MonkeyPatch.context() as patch:
        for name, value in aws_environment(api).items():
            patch.setenv(name, value)
        yield InlineStack(tmp_path / "stack", PLUGINS)


def _lost(plan: Plan) -> list[str]:
    return [name for operation in ("replace", "delete", "create") for name in plan.names(operation, *IDENTITY)]


@pytest.mark.parametrize("release", RELEASES, ids=lambda file: file.stem)
def test_moving_from_a_release_replaces_no_vpc_no_address_and_no_interface(stack: InlineStack, release: Path) -> None:
    released: dict[str, Any] = json.loads(release.read_text())
    stack.import_(released["deployment"])
    before = [each["type"] for each in released["deployment"]["deployment"]["resources"]]
    assert {before.count(token) for token in IDENTITY} == {2, 4}, "two of each, and four subnets"
    plan = preview(stack, released["arguments"])
    assert not plan.refused
    assert _lost(plan) == []
    # The check can fail: it finds a replacement that does happen.
    moved = {**released["arguments"], "left": {**released["arguments"]["left"], "gateway_private_ip": "10.1.1.253"}}
    assert _lost(preview(stack, moved)) == ["vpn-uk-gateway-interface"]


@pytest.mark.parametrize("release", RELEASES, ids=lambda file: file.stem)
def test_moving_from_a_release_with_verify_replaces_no_instance(stack: InlineStack, release: Path) -> None:
    released: dict[str, Any] = json.loads(release.read_text())
    stack.import_(released["deployment"])
    assert len(preview(stack, released["arguments"]).lost(INSTANCE)) in {0, 2}, "without verify, both or none"
    plan = preview(stack, {**released["arguments"], "verify": True})
    assert not plan.refused
    assert plan.lost(INSTANCE) == []
    commands = {f"vpn-{side}-{name}" for side in ("uk", "au") for name in ("prepare", "configure")}
    assert commands <= set(plan.names("create"))
    assert not [text for text in plan.warnings if "will be replaced" in text]


def test_the_first_releases_state_exists() -> None:
    assert "0.1.0" in [release.stem for release in RELEASES]
