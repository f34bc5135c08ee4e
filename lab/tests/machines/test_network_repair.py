"""The lab's network over its life: creation, repair, takeover, failed steps, removal.

Run as root: `pytest lab/tests/machines/test_network_repair.py`. Clean-up by hand: `ip netns` names that start with
`labtest-`, and the interface `labtest-admin`.
"""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lab import processes, settings
from lab.network import Network, names, namespaces, teardown
from lab.tests.machines.network_tools import (
    forward,
    ping,
)
from lab.tests.machines.own_network import AU, UK, WORLD, host, joined, router
from lab.tests.network_world import rule, with_rules
from lab.world import World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


def test_creation_takes_at_most_two_seconds_and_an_unchanged_world_fifty_milliseconds(network: Network) -> None:
    teardown.remove()
    started = time.monotonic()
    network.apply(WORLD)
    created = time.monotonic()
    network.apply(WORLD)
    unchanged = time.monotonic()
    print(f"creation {created - started:.3f} s, without a change {unchanged - created:.4f} s")
    assert created - started <= 2.0
    assert unchanged - created <= 0.05


def test_the_next_apply_repairs_what_was_broken_by_hand(network: Network, world: World) -> None:
    processes.stop(names.dnsmasq_process(router(UK)))
    subprocess.run(["ip", "netns", "delete", host(UK, "host")], check=True)
    subprocess.run(["ip", "-n", router(AU), "link", "delete", "uplink"], check=True)
    network.apply(world)
    assert processes.find(names.dnsmasq_process(router(UK))) is not None
    forward(host(UK, "gateway"))
    with joined():
        assert ping(host(UK, "host"), AU.host).received == 1


def test_a_new_data_plane_takes_over_the_network_of_an_older_one(world: World) -> None:
    with joined():
        Network().apply(world)
        assert ping(host(UK, "host"), AU.host).received == 1


def test_the_next_apply_repeats_a_failed_step(network: Network, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.network.services._NFT", "/bin/false")
    changed = with_rules(world, "sg-host-au", [rule(), rule(egress=True), rule(protocol=6, ports=(22, 22))])
    with pytest.raises(ExceptionGroup, match="could not be created completely"):
        network.apply(changed)
    monkeypatch.undo()
    network.apply(changed)
    listing = ["ip", "netns", "exec", router(AU), "nft", "list", "chain", "ip", "lab", "ingress"]
    assert "dport 22" in subprocess.run(listing, capture_output=True, text=True, check=True).stdout


def test_terminating_an_instance_removes_its_namespace_and_link(network: Network, world: World) -> None:
    remaining = tuple(instance for instance in world.instances if instance.id != UK.instance_id("host"))
    network.apply(replace(world, instances=remaining))
    assert host(UK, "host") not in namespaces.present()
    links = subprocess.run(["ip", "-n", router(UK), "link"], capture_output=True, text=True, check=True).stdout
    assert names.tap(UK.eni_id("host")) not in links
    assert names.tap(UK.eni_id("gateway")) in links


def test_teardown_leaves_nothing_and_can_be_repeated(network: Network, world: World) -> None:
    removed = teardown.remove()
    assert f"namespace {settings.INTERNET_NAMESPACE}" in removed
    assert f"interface {names.administrator_link()}" in removed
    assert teardown.remove() == []
    assert namespaces.present() == set()
    assert processes.names("network-") == []
    assert not Path("/sys/class/net", names.administrator_link()).exists()
    routes = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    assert not any(str(pool) in routes for pool in settings.ELASTIC_IP_POOLS)
    network.apply(world)
    assert ping(None, UK.elastic_ip).received == 1
