"""Peers of a `VpnGateway` come, go and get other names, by replacement and in place.

Proves that the engine goes from one list of peers to the next, that a preview then plans no change, and how many
instances that takes. Does not prove the tunnels (tests/lab/test_hub.py). There is nothing to clean up.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.api_process import ApiProcess
from tests.engine.gateway_program import AU, LOGIN, gateway
from tests.engine.inline_stack import InlineStack
from tests.engine.released import PLUGINS, aws_environment
from tests.engine.without_machines import COMMAND, command_without_machine
from tests.unit.gateway_documents import PSK

pytestmark = pytest.mark.whole

US = {"name": "us", "public_ip": "203.0.113.2", "cidr_blocks": ["172.30.0.0/16"]}
"""Its private address is unknown, until it takes AU's place."""


@pytest.mark.parametrize("more", [{}, LOGIN], ids=["by replacement", "in place"])
def test_a_peer_of_a_gateway_can_be_renamed_added_and_removed(
    api: ApiProcess,
    engine_environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
) -> None:
    monkeypatch.setattr(COMMAND, command_without_machine)
    for name, value in aws_environment(api).items():
        monkeypatch.setenv(name, value)
    stack = InlineStack(tmp_path / "stack", PLUGINS)
    instances = set[str]()
    for peers in ([AU], [{**AU, "name": "sydney"}], [US, {**AU, "name": "sydney"}], [US], [{**US, **AU}]):
        program = gateway("site", peers=peers, psk=PSK, **more)
        stack.up(program)
        assert stack.preview(program).change_summary.keys() == {"same"}
        instances.add(stack.resources()["site-gateway"]["id"])
    assert len(instances) == (1 if more else 5)
    stack.destroy()
