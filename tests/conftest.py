"""Of all tests."""

import gc


def pytest_collection_finish() -> None:
    """Keep the garbage collector away from what was imported: looking through it costs a quarter of all time."""
    gc.collect()
    gc.freeze()
