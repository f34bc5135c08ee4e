"""A NAT gateway without tunnels, with machines: examples/nat-python, unchanged, in a separate folder.

Proves that the gateway boots without Libreswan and passes its own proof; that a private host reaches the Internet by
it, from its Elastic IP; that a range is added on the running gateway; that destroy leaves nothing. Does not prove
throughput, nor AWS's own network. Clean up by hand: `lab down`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import hosts, settings
from lab.capture import capturing
from tests.engine.examples import Example
from tests.lab.project import deployed
from tests.scenarios.gateway import Host

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

GATEWAY, WORKER = Host(name="uk-gateway", id="uk-gateway"), Host(name="worker", id="worker")
LAYERS = [
    *("boot", "clock", "packet_filter", "nat", "sysctl", "conntrack"),
    *("address", "internet", "configuration"),
]
MORE = "10.2.0.0/24"
PINGS = 5


@pytest.fixture(scope="module", autouse=True)
def consumer(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Bring the project up, once for the tests of this file."""
    with deployed("nat-python", tmp_path_factory.mktemp("checkout")) as project:
        yield project


def verified() -> list[dict[str, Any]]:
    """Return the layers of `vpn-verify`, which must exit with 0."""
    done = GATEWAY.ask("vpn-verify --json --wait 60", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    layers: list[dict[str, Any]] = json.loads(done.stdout)["layers"]
    return layers


def test_up_has_proved_the_gateway_and_vpn_verify_holds_without_the_layers_of_tunnels(consumer: Example) -> None:
    assert "nat-verify-uk" in consumer.resources()
    layers = verified()
    assert [layer["name"] for layer in layers] == LAYERS
    assert {layer["status"] for layer in layers} == {"ok"}
    evidence = {layer["name"]: layer["evidence"] for layer in layers}
    assert evidence["internet"].startswith("TCP to ssm.eu-west-2.amazonaws.com:443")
    assert consumer.outputs()["gateway"] in evidence["address"]


def test_a_private_host_reaches_the_internet_from_the_gateways_elastic_ip(consumer: Example) -> None:
    outputs, server = consumer.outputs(), str(settings.WEB_SERVER)
    dial = f"python3 -c \"import socket; socket.create_connection(('{server}', 80), 10).close()\""
    with capturing(hosts.INTERNET, ["host", server]) as on_internet:
        answer = WORKER.run(f"ping -c {PINGS} {server}")
        WORKER.run(dial)
    assert f"{PINGS} received, 0% packet loss" in answer
    requests = [packet for packet in on_internet.packets if "ICMP echo request" in packet]
    assert len(requests) == PINGS
    assert all(f"IP {outputs['gateway']} > {server}: " in packet for packet in requests)
    segments = [packet for packet in on_internet.packets if f" > {server}.80: Flags [S]" in packet]
    assert len(segments) >= 1
    assert all(f"IP {outputs['gateway']}." in packet for packet in segments)
    assert not [packet for packet in on_internet.packets if outputs["worker"] in packet]


def test_libreswan_is_not_installed_and_nothing_listens_on_its_ports(consumer: Example) -> None:
    assert GATEWAY.ask("dpkg-query -W -f '${Status}' libreswan | grep -q ' installed'").returncode != 0
    assert GATEWAY.ask("command -v ipsec").returncode != 0
    # ls fails when there are none, which is what is wanted.
    assert GATEWAY.run("ls -d /etc/ipsec.* /run/pluto 2>/dev/null || true") == ""
    assert GATEWAY.run("ss -Hlun 'sport = :500 or sport = :4500'") == ""
    units = GATEWAY.run("systemctl list-unit-files --no-legend 'vpn-*' 'ipsec*'")
    assert {line.split()[0] for line in units.splitlines()} == {
        "vpn-commit.service",
        "vpn-configure.service",
        "vpn-filter.service",
        "vpn-secrets.service",
        "vpn-sysctl.service",
    }
    assert GATEWAY.run("systemctl list-units --failed --no-legend 'vpn-*'") == ""


def test_a_range_is_added_on_the_running_gateway(consumer: Example) -> None:
    program, instance = consumer.folder / "__main__.py", consumer.resources()["nat-gateway"]["id"]
    block = '"cidr_block": "10.1.0.0/16",'
    whole = program.read_text()
    assert whole.count(block) == 1
    program.write_text(whole.replace(block, f'{block} "additional_cidr_blocks": ["{MORE}"],'))
    consumer.run("up", "--yes", "--skip-preview")
    assert consumer.resources()["nat-gateway"]["id"] == instance
    assert f"-A VPN-POSTROUTING -s {MORE} -j MASQUERADE" in GATEWAY.run("iptables-save -t nat")
    assert {layer["status"] for layer in verified()} == {"ok"}
    assert f"{PINGS} received" in WORKER.run(f"ping -c {PINGS} {settings.WEB_SERVER}")


def test_destroy_leaves_nothing(consumer: Example) -> None:
    consumer.run("destroy", "--yes", "--skip-preview")
    assert consumer.left_over() == []
