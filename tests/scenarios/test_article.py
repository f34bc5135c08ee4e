"""The article on the deployed stack: evidence, a second up, a refresh, a broken tunnel.

Proves that `pulumi up` of the checkout's own program makes gateways that boot the rendered user data and carry the
private hosts' packets encrypted; that a tunnel which carries nothing is red and the layer is named. Does not prove:
AWS's own hardware, prices, latency. By hand: `make lab`, `make lab-down`.
"""

import json

import pytest

from lab import evidence, network_faults, settings, stack
from tests.scenarios.diagnosis import answers
from tests.scenarios.ipsec import pre_shared_keys
from tests.scenarios.sites import Pair

pytestmark = [pytest.mark.brief, pytest.mark.timeout(3600), pytest.mark.usefixtures("running_stack")]

SIDES = pytest.mark.parametrize("side", ["uk", "au"])


def test_the_articles_evidence_holds() -> None:
    found = evidence.collect()
    assert found.failures == []
    written = json.loads((settings.EVIDENCE / "evidence.json").read_text())
    assert written["holds"] is True
    assert {path.name for path in settings.EVIDENCE.iterdir()} >= {
        "evidence.json",
        "ping-au-private-to-uk-private.txt",
        "ping-uk-private-to-au-private.txt",
        "tcpdump-au-private.txt",
        "tcpdump-internet.txt",
        "tcpdump-uk-private.txt",
    }


def test_a_second_up_would_change_nothing() -> None:
    shown = stack.pulumi(["preview", "--stack", stack.STACK, "--expect-no-changes"], capture=True)
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_a_refresh_finds_no_drift() -> None:
    shown = stack.pulumi(["refresh", "--stack", stack.STACK, "--yes", "--expect-no-changes"], capture=True)
    assert shown.returncode == 0, shown.stdout + shown.stderr


@SIDES
def test_vpn_verify_says_that_every_layer_holds(pair: Pair, side: str) -> None:
    (look,) = answers.ask([pair.site(side).gateway]).values()
    assert look.exit_code == 0, look.raw
    assert {layer.status for layer in look.layers} == {"ok"}


@SIDES
def test_private_hosts_reach_the_internet_through_their_gateway(pair: Pair, side: str) -> None:
    asked = pair.site(side).private_host.ask(f"curl -sS -o /dev/null -w '%{{http_code}}' http://{settings.WEB_SERVER}/")
    assert asked.stdout == "200", asked.stderr


def test_the_tunnels_route_outlives_a_restart_of_what_configures_the_interface(pair: Pair) -> None:
    gateway, show = pair.uk.gateway, "ip route show 172.31.0.0/16"
    before = gateway.run(show)
    assert "mtu 1400" in before
    gateway.run("systemctl restart systemd-networkd systemd-networkd-wait-online")
    assert gateway.run(show) == before


def test_no_secret_stands_in_the_state_in_plain(pair: Pair) -> None:
    exported = stack.pulumi(["stack", "export", "--stack", stack.STACK], capture=True).stdout
    assert "BEGIN OPENSSH PRIVATE KEY" not in exported
    keys = pre_shared_keys(pair.uk.gateway)
    assert {kind: len(key) for kind, key in keys.items()} == {"PSK": 43, "PPKS": 43}
    assert not [kind for kind, key in keys.items() if key in exported]


def test_a_partition_turns_the_proof_red_and_names_the_layer_and_healing_turns_it_green(pair: Pair) -> None:
    gateway = pair.uk.gateway
    network_faults.inject("partition")
    try:
        (look,) = answers.ask([gateway]).values()
    finally:
        network_faults.heal()
    assert look.exit_code != 0
    assert look.failed, look.raw
    assert all(layer.remedy for layer in look.layers if layer.status == "failed")
    (healed,) = answers.ask([gateway], wait=120).values()
    assert healed.exit_code == 0, healed.raw
