"""Tests in this tier take the machine's one lab for themselves: what runs of it is taken down before and after."""

import os
from collections.abc import Iterator

import pytest

from lab import daemons, stack
from lab.progress import say

pytestmark = pytest.mark.lab


def take_down() -> None:
    """Destroy the lab's stack if there is one and stop the lab, as `make lab-down` does."""
    if stack.exists():
        if daemons.api_answers():
            assert stack.destroy() == 0
        stack.forget()
    daemons.stop()


@pytest.fixture(scope="package", autouse=True)
def machine() -> Iterator[None]:
    """Give the tests a machine on which no lab runs, and leave it so."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root; run `sudo make test-lab`")
    say("tests/lab: taking down whatever runs of the lab")
    take_down()
    yield
    take_down()
