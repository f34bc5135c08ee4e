"""Proves that this version's component, over the state that an earlier one left, replaces no VPC, address or interface.

Does not prove that the update itself goes through: it is a preview, without a refresh. `pytest
tests/engine/test_changes_of_release.py`; nothing to clean up.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.api_process import running_api
from tests.engine.changes import IDENTITY, Plan
from tests.engine.inline_stack import InlineStack
from tests.engine.previews import preview
from tests.engine.released import PLUGINS, STATES, aws_environment

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

RELEASES = sorted(STATES.glob("*.json"))


@pytest.fixture
def stack(engine_environment: dict[str, str], tmp_path: Path) -> Iterator[InlineStack]:
    """Give a stack whose state may be set; the API that its program meets has nothing of it."""
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
    # The same look sees it when there is something to see.
    moved = {**released["arguments"], "left": {**released["arguments"]["left"], "gateway_private_ip": "10.1.1.253"}}
    assert _lost(preview(stack, moved)) == ["vpn-uk-gateway-interface"]


def test_the_first_release_is_there() -> None:
    assert "0.1.0" in [release.stem for release in RELEASES]
