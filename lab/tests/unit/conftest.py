"""The fixture that the tests of the API share."""

from collections.abc import Iterator

import pytest

from lab.tests.unit.api_stack import served_api


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """Serve the API for a test file; give its URL."""
    with served_api() as url:
        yield url
