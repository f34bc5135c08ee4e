"""A hub with machines: examples/hub-python, unchanged, in a separate folder.

Proves that a hub and its spokes negotiate, with addresses of the program's own; that a spoke is added to the running
hub and taken away again, while the tunnel to the other spoke loses no packet; that `monitoring`, switched on while it
runs, publishes that no layer of the hub fails, and leaves no alarm on. Does not prove the way of private hosts to the
hub's gateway (test_consumer.py). Clean up by hand: `lab down`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from components.decisions.monitoring import NAMESPACE, gateway_dimensions
from lab.api.client import client
from tests.engine.examples import Example
from tests.lab.project import deployed
from tests.scenarios.alarms import PROMISED, raised, raised_since, wait
from tests.scenarios.gateway import Host, wait_until
from tests.scenarios.pings import NEGOTIATION_SECONDS, carries, no_lost_ping

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

HUB = Host(name="uk-gateway", id="uk-gateway")
ADDRESSES = {"uk": "10.1.0.254", "au": "172.31.0.254", "us": "10.8.0.254"}


@pytest.fixture(scope="module", autouse=True)
def consumer(machine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Bring the project up with one spoke, once for the tests of this file."""
    with deployed("hub-python", tmp_path_factory.mktemp("checkout")) as project:
        yield project


def way_to(site: str) -> tuple[Host, str, str]:
    """Return the hub and the two ends of its tunnel to a spoke."""
    return HUB, ADDRESSES["uk"], ADDRESSES[site]


def wait_for_tunnel(site: str) -> None:
    """Wait until a spoke answers a ping of the hub through their tunnel."""
    wait_until(f"the tunnel to {site} carries packets", lambda: carries(*way_to(site)), NEGOTIATION_SECONDS)


def connections_up() -> set[str]:
    """Return the connections that have SAs: two each, for a while, if both ends have begun at the same time."""
    return set(re.findall('"(uk-to-[^"]*)"', HUB.run("ipsec whack --trafficstatus")))


def test_the_hub_and_its_spoke_have_a_tunnel_between_the_programs_own_addresses(consumer: Example) -> None:
    resources = consumer.resources()
    for site in ("uk", "au"):
        assert consumer.outputs()["gateways"][site] == resources[f"address-{site}"]["outputs"]["publicIp"]
    wait_for_tunnel("au")
    assert "PPK_INSIST" in HUB.run("ipsec status | grep 'uk-to-au'")


def test_a_spoke_is_added_while_the_other_tunnel_loses_nothing(consumer: Example) -> None:
    instance = consumer.resources()["uk-gateway"]["id"]
    consumer.cli("config", "set", "--path", "spokes[0]", "au")
    consumer.cli("config", "set", "--path", "spokes[1]", "us")
    with no_lost_ping(*way_to("au")):
        consumer.run("up", "--yes", "--skip-preview")
        wait_for_tunnel("us")
    assert consumer.resources()["uk-gateway"]["id"] == instance
    assert connections_up() == {"uk-to-au", "uk-to-us"}


def test_a_spoke_is_taken_away_while_the_other_tunnel_loses_nothing(consumer: Example) -> None:
    instance = consumer.resources()["uk-gateway"]["id"]
    consumer.cli("config", "rm", "--path", "spokes[1]")
    with no_lost_ping(*way_to("au")):
        consumer.run("up", "--yes", "--skip-preview")
    assert consumer.resources()["uk-gateway"]["id"] == instance
    assert "uk-to-us" not in HUB.read("/etc/ipsec.d/vpn.conf")
    assert connections_up() == {"uk-to-au"}


def layers_failed(interface: str) -> set[float]:
    """Return the different values of `LayersFailed` that the hub has published in the last hour."""
    now, dimensions = datetime.now(UTC), gateway_dimensions(HUB.name, interface)
    found = client("cloudwatch", "eu-west-2").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName="LayersFailed",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )
    return {each["Maximum"] for each in found["Datapoints"]}


def test_a_monitored_hub_publishes_that_no_layer_of_its_own_fails_and_no_alarm_stays_on(consumer: Example) -> None:
    program, psk = consumer.folder / "__main__.py", '"psk": shared_keys["psk"],'
    whole = program.read_text()
    assert whole.count(psk) == 1
    program.write_text(whole.replace(psk, f'{psk} "monitoring": {{}},'))
    consumer.run("up", "--yes", "--skip-preview")
    resources = consumer.resources()
    assert {"uk-gateway-fault", "au-gateway-fault"} <= resources.keys()
    interface = resources["uk-gateway-interface"]["id"]
    wait("the hub publishes how many of its layers fail", lambda: layers_failed(interface) != set(), PROMISED)
    # An alarm of a tunnel is created before the first minute is published, so it may begin on.
    wait("no alarm is on", lambda: raised() == set(), PROMISED)
    assert layers_failed(interface) == {0.0}
    assert not {"uk-gateway-fault", "au-gateway-fault"} & raised_since(datetime.min.replace(tzinfo=UTC))


def test_destroy_leaves_nothing(consumer: Example) -> None:
    consumer.run("destroy", "--yes", "--skip-preview")
    assert consumer.left_over() == []
