"""Files of a gateway that a scenario changes, and that vpn-verify is to accept."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.scenarios.gateway import Gateway
from vpn_verify.configuration import DEPLOYED


@contextmanager
def changed_by_hand(gateway: Gateway) -> Iterator[None]:
    """Let vpn-verify accept files that are changed during the block.

    Without the list of what was deployed, it takes them for those of the user data.
    """
    gateway.run(f"mv {DEPLOYED} {DEPLOYED}.aside")
    try:
        yield
    finally:
        gateway.run(f"mv {DEPLOYED}.aside {DEPLOYED}")
