"""The fixture for tests that need this machine's one lab for themselves."""

import os
from collections.abc import Iterator

import pytest

from lab import daemons, stack


def take_down() -> None:
    """Destroy the lab's stack if there is one and stop the lab, as `make lab-down` does."""
    if stack.exists():
        if daemons.api_answers():
            assert stack.destroy() == 0
        stack.forget()
    daemons.stop()


@pytest.fixture(scope="package", autouse=True)
def machine() -> Iterator[None]:
    """Give the tests a machine without a running lab, and leave it in that state.

    A running lab is taken down only if LAB_TAKE_DOWN is set, as `make test-lab` does: somebody may be using it.
    """
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root; run `sudo make test-lab`")
    if daemons.api_answers() and not os.environ.get("LAB_TAKE_DOWN"):
        pytest.fail("a lab is running; take it down first with `make lab-down`")
    take_down()
    yield
    take_down()
