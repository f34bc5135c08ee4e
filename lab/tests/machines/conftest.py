"""The lab's own network and machines, without Pulumi.

Proves that the lab enforces what AWS enforces, with real packets. Does not prove that AWS does. Command:
`make test-lab`. Clean-up by hand: `make lab-down`.
"""

from collections.abc import Iterator

import pytest

from lab import settings
from lab.network import Network, teardown
from lab.tests.machines.network_tools import forward
from lab.tests.machines.own_network import AU, UK, WORLD, host, own_settings
from lab.tests.own_machine import machine
from lab.world import World

__all__ = ["machine"]
"""Every test of the folder uses this fixture."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Give a network with separate names and address ranges; remove it after the test file."""
    scratch = tmp_path_factory.mktemp("network")
    with own_settings("labtest-", scratch) as patch:
        patch.setattr(settings, "CACHE", scratch / "cache")
        teardown.remove()
        yield Network()
        teardown.remove()


@pytest.fixture
def world(network: Network) -> World:
    """Apply the article's world, without the changes of earlier tests, and return it."""
    network.apply(WORLD)
    for side in (UK, AU):
        forward(host(side, "gateway"))
    return WORLD
