"""A `VpnGateway` without peers with the real engine and the lab's API, without machines: NAT for private subnets.

Proves that it is created, stays unchanged, gets its first peer by another instance, which is announced, loses it again
in the same way, and leaves nothing. Does not prove that packets pass (tests/lab). There is nothing to clean up.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from tests.engine.api_process import ApiProcess
from tests.engine.gateway_program import AU, LOGIN, REGION, gateway
from tests.engine.inline_stack import InlineStack
from tests.engine.released import PLUGINS
from tests.engine.without_machines import COMMAND, command_without_machine
from tests.unit.gateway_documents import PSK

pytestmark = [pytest.mark.engine, pytest.mark.whole]

IDENTITY = ("nat-gateway-address", "nat-gateway-interface", "nat-vpc")


def warnings_of(stack: InlineStack, program: Callable[[], None]) -> list[str]:
    """Return what a preview warns about."""
    warnings = list[str]()

    def note(event: automation.EngineEvent) -> None:
        if event.diagnostic_event and event.diagnostic_event.severity == "warning":
            warnings.append(event.diagnostic_event.message.strip())

    stack.preview(program, on_event=note)
    return warnings


def admitted(api: ApiProcess) -> set[tuple[str, int]]:
    """Return protocol and first port of all inbound rules of the gateway's region."""
    rules = api.client("ec2", REGION).describe_security_group_rules()["SecurityGroupRules"]
    return {(each["IpProtocol"], each["FromPort"]) for each in rules if not each["IsEgress"] and each.get("CidrIpv4")}


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize("more", [{}, LOGIN], ids=["by its user data", "in place"])
def test_it_is_created_gets_its_first_peer_by_another_instance_and_is_taken_back(
    api: ApiProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
) -> None:
    monkeypatch.setattr(COMMAND, command_without_machine)
    others = api.left_over(REGION)
    stack = InlineStack(tmp_path / "stack", PLUGINS)
    alone, with_peer = gateway("nat", **more), gateway("nat", **more, peers=[AU], psk=PSK)

    stack.up(alone)
    assert stack.preview(alone).change_summary.keys() == {"same"}
    first = stack.resources()
    assert "nat-psk-parameter" not in first
    assert ("nat-verify-uk" in first) == bool(more)
    assert not {("udp", 500), ("udp", 4500)} & admitted(api)

    peer = [] if more else ["peer au", "psk"]
    reasons = ", ".join([*peer, "use (for tunnels, or for NAT alone)"])
    for program in (with_peer, alone):
        (warning,) = warnings_of(stack, program)
        assert f"uk-gateway will be replaced because of another {reasons}. " in warning
        before = stack.resources()
        stack.up(program)
        assert stack.preview(program).change_summary.keys() == {"same"}
        now = stack.resources()
        assert now["nat-gateway"]["id"] != before["nat-gateway"]["id"]
        assert all(now[name]["id"] == first[name]["id"] for name in IDENTITY)
        with_tunnel = program is with_peer
        assert ("nat-psk-parameter" in now) == with_tunnel
        assert ("nat-verify-uk" in now) == bool(more and not with_tunnel)
        assert ({("udp", 500), ("udp", 4500)} <= admitted(api)) == with_tunnel
    stack.destroy()
    assert api.left_over(REGION) == others
