"""A consumer's project with machines: examples/python-sdk, unchanged, in a separate folder, by `pulumi` alone.

Proves that a consumer of the plugin gets the proof among the pair's outputs; that a host of the consumer's own, in a
second range of its VPC, boots its own user data and exchanges packets with the other side, from its own address and by
a Child SA of that range; that such an SA is replaced when one side has lost it; that a rebooted gateway carries packets
again; that destroy leaves nothing. Does not prove the other languages with machines (tests/engine/test_examples.py runs
them without). Clean up by hand: `lab down`.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from lab import evidence, hosts
from lab.api.client import client
from lab.capture import capturing
from tests.engine.examples import Example
from tests.lab.project import deployed
from tests.scenarios.gateway import Host

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

BOOT_SECONDS = 300.0
SECOND_RANGE = IPv4Network("10.2.0.0/24")
RIGHT_RANGE = IPv4Network("172.31.0.0/16")
GATEWAYS = {
    "uk-gateway": {"uk-to-au", f"uk-to-au/{SECOND_RANGE}={RIGHT_RANGE}"},
    "au-gateway": {"au-to-uk", f"au-to-uk/{RIGHT_RANGE}={SECOND_RANGE}"},
}
"""Gateway -> its connections: that of the gateways' own ranges, and that of the second range."""
LIMIT_SECONDS = 30
"""For traffic to flow again after an SA was lost."""
PINGS = 5
ECHO_BYTES = 84
"""IPv4 and ICMP headers, and ping's own 56 bytes."""

_TRAFFIC = re.compile(r'"(?P<connection>[^"]+)",.* inBytes=(?P<bytes_in>\d+), outBytes=(?P<bytes_out>\d+),')


@pytest.fixture(scope="module", autouse=True)
def consumer(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Bring the project up, once for the tests of this file."""
    with deployed("python-sdk", tmp_path_factory.mktemp("checkout")) as project:
        yield project


def host_of(name: str) -> Host:
    """Return the handle on the machine of that name, or of that instance id."""
    return Host(name=name, id=name)


def carried(gateway: str) -> dict[str, tuple[int, int]]:
    """Return connection -> bytes of payload that its Child SAs have carried in and out."""
    found: dict[str, tuple[int, int]] = {}
    for one in _TRAFFIC.finditer(host_of(gateway).ask("ipsec whack --trafficstatus").stdout):
        before = found.get(one["connection"], (0, 0))
        found[one["connection"]] = before[0] + int(one["bytes_in"]), before[1] + int(one["bytes_out"])
    return found


def grown(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], connection: str) -> int:
    """Return by how many bytes a connection's counters have grown, the smaller of in and out."""
    return min(now - then for then, now in zip(before[connection], after[connection], strict=True))


def lose_inbound(gateway: str, source: IPv4Network, target: IPv4Network) -> None:
    """Delete the SAs from `source` to `target` from a gateway's kernel. Its daemon does not notice."""
    policies = host_of(gateway).run(f"ip xfrm policy list dir in src {source} dst {target}")
    (sa,) = re.findall(r"tmpl (src \S+ dst \S+)\s+proto (esp reqid \d+)", policies)
    which = " proto ".join(sa)
    assert host_of(gateway).run(f"ip xfrm state list {which}"), "the gateway has no such SA"
    host_of(gateway).run(f"ip xfrm state deleteall {which}")


def watch_log(gateway: str) -> list[str]:
    """Return the lines that vpn-watch has written since the gateway booted."""
    return host_of(gateway).run("journalctl -u vpn-watch -b -qocat").splitlines()


def has_booted(host: str) -> bool:
    """Return whether the host has carried out its user data."""
    try:
        return host_of(host).ask("systemctl is-active ping-across.service", timeout=10).stdout == "active\n"
    except subprocess.TimeoutExpired:
        return False


def wait_for_boot(host: str) -> None:
    # A component of a plugin has outputs only when it is complete, so the proof comes before the host.
    deadline = time.monotonic() + BOOT_SECONDS
    while not has_booted(host):
        assert time.monotonic() < deadline, f"{host} has not carried out its user data"
        time.sleep(1)


def test_the_proof_is_among_the_pairs_outputs_and_every_layer_held(consumer: Example) -> None:
    proof = consumer.resources()["office"]["outputs"]["verification"]
    assert proof.keys() == {"verify-uk", "verify-au"}
    for report in map(json.loads, proof.values()):
        assert {layer["status"] for layer in report["layers"]} == {"ok"}


def test_a_host_in_the_second_range_pings_across_from_its_own_address_by_an_sa_of_its_own(consumer: Example) -> None:
    resources, address = consumer.resources(), consumer.outputs()["host"]
    host, target = resources["pinging"]["id"], resources["office"]["outputs"]["right"]["private_ip"]
    assert IPv4Address(address) in SECOND_RANGE
    wait_for_boot(host)

    before = {gateway: carried(gateway) for gateway in GATEWAYS}
    with (
        capturing("au-gateway", ["icmp"]) as on_the_other_side,
        capturing(hosts.INTERNET, ["ip"]) as on_internet,
    ):
        answer = host_of(host).run(f"ping -c {PINGS} {target}")
    assert f"{PINGS} received, 0% packet loss" in answer
    # The reply comes from the far gateway and passes the near one.
    assert answer.count("ttl=63 ") == PINGS
    request = f"IP {address} > {target}: ICMP echo request"
    assert sum(request in packet for packet in on_the_other_side.packets) >= PINGS
    seen = evidence.Evidence()
    sides = tuple(
        evidence.Endpoint("", "", resources[f"office-{site}-gateway-address"]["outputs"]["publicIp"])
        for site in ("uk", "au")
    )
    evidence.judge_internet((sides[0], sides[1]), on_internet, seen)
    assert seen.failures == []

    gateway_address = resources["office"]["outputs"]["left"]["private_ip"]
    host_of("uk-gateway").run(f"ping -c {PINGS} -I {gateway_address} {target}")
    for gateway, both in GATEWAYS.items():
        after = carried(gateway)
        assert before[gateway].keys() == after.keys() == both
        assert all(grown(before[gateway], after, each) >= PINGS * ECHO_BYTES for each in both)


@pytest.mark.parametrize(
    ("loser", "source", "to"),
    [("au-gateway", SECOND_RANGE, RIGHT_RANGE), ("uk-gateway", RIGHT_RANGE, SECOND_RANGE)],
    ids=["requests are lost", "answers are lost"],
)
def test_an_sa_of_the_second_range_that_only_the_far_side_has_is_replaced_though_no_echo_goes_by_it(
    consumer: Example, loser: str, source: IPv4Network, to: IPv4Network
) -> None:
    resources = consumer.resources()
    host, target = resources["pinging"]["id"], resources["office"]["outputs"]["right"]["private_ip"]
    wait_for_boot(host)
    # Leave out what the watch did while both gateways booted.
    before = watch_log(loser)
    lose_inbound(loser, source, to)

    answer = host_of(host).ask(f"ping -c {2 * LIMIT_SECONDS} -W 1 {target}", timeout=120).stdout
    lost = 2 * LIMIT_SECONDS - answer.count(" bytes from ")
    print(f"{loser} lost the second range's inbound SA: {lost} pings of one a second were lost")
    # If nothing was lost, the test proves nothing.
    assert 2 <= lost <= LIMIT_SECONDS, answer
    # Once, or more often on a busy machine. Nothing else, because the first range's tunnel is not affected.
    lines = {line.partition(": ")[2] for line in watch_log(loser)[len(before) :]}
    assert lines == {"the peer sends by SAs that are not here: asking for other SAs"}


def test_a_rebooted_gateway_carries_packets_again(consumer: Example) -> None:
    resources = consumer.resources()
    host, target = resources["pinging"]["id"], resources["office"]["outputs"]["right"]["private_ip"]
    gateway, boot_id = host_of("uk-gateway"), "/proc/sys/kernel/random/boot_id"
    before = gateway.read(boot_id)
    client("ec2", "eu-west-2").reboot_instances(InstanceIds=[resources["office-uk-gateway"]["id"]])
    deadline = time.monotonic() + 240
    while True:
        try:
            asked = gateway.ask(f"cat {boot_id}", timeout=5)
            if asked.returncode == 0 and asked.stdout not in ("", before):
                break
        except (subprocess.TimeoutExpired, OSError):
            pass
        assert time.monotonic() < deadline, "uk-gateway did not reboot"
        time.sleep(1)
    healed = gateway.ask("vpn-verify --json --wait 180", timeout=210)
    assert healed.returncode == 0, healed.stdout
    answer = host_of(host).ask(f"ping -c {PINGS} {target}").stdout
    assert f"{PINGS} received, 0% packet loss" in answer


def test_destroy_leaves_nothing(consumer: Example) -> None:
    consumer.run("destroy", "--yes", "--skip-preview")
    assert consumer.left_over() == []
