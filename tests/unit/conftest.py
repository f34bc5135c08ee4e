"""The unit tier: decisions, rendering and exact resources; needs no root, image or network.

Proves: what this repository's code decides, asks for and renders. Does not prove: that the real tools read it
(tests/tools), what the engine does with it (tests/engine), or that packets cross (tests/scenarios). Command:
`make test-unit`. Property tests take four times as many examples with `make test-properties`. Nothing is left behind.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, settings

from components import VpnGatewayPair
from tests.unit.existing_cloud import ExistingCloud
from tests.unit.recording import Deployment, Recorder, article_arguments

# A busy machine is slow, and that is no failure. `make test` takes the same examples each time, so that no commit is
# red by chance; `make test-properties` looks for new ones.
settings.register_profile(
    "brief", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("brief")
# A program that fails leaves unfinished tasks behind. asyncio would log a traceback for each of them, which is slow.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
settings.register_profile("whole", settings(), derandomize=False, max_examples=4 * settings().max_examples)


def _fresh_deployment() -> Iterator[Deployment]:
    # On a separate event loop, so that a failed program does not affect the next test.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield Deployment()
    pulumi.runtime.set_all_config({})
    loop.close()


@pytest.fixture
def cloud() -> ExistingCloud:
    """Give answers to look-ups of an existing network."""
    return ExistingCloud()


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """Give a fresh recorder."""
    yield from _fresh_deployment()


@pytest.fixture
def article() -> dict[str, Any]:
    """Give the article's pair, as arguments."""
    return article_arguments()


@pytest.fixture(scope="module")
def article_pair() -> Recorder:
    """Give what the article's pair, as it is, asks of the engine; not to be changed."""
    deployments = _fresh_deployment()
    # A plain dict, not a TypedDict.
    recorder = next(deployments).run(lambda: VpnGatewayPair("vpn", article_arguments()))  # type: ignore[arg-type]
    next(deployments, None)
    return recorder
