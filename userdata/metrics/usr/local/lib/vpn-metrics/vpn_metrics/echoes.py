"""A minute of echoes through each tunnel."""

import contextlib
import threading
import time
from collections.abc import Mapping

from expectations import Gateway, Peer
from icmp import Echoes
from vpn_metrics.data import Answers


def measure(gateway: Gateway, number: int) -> Mapping[str, Answers]:
    """Send so many echoes to each peer whose private address is known, one a second; return connection -> answers.

    Each tunnel has its own thread, so that a silent peer delays no other.
    """
    peers = [peer for peer in gateway.peers if peer.private_ip]
    # What cannot be sent is not answered.
    found: dict[str, Answers] = {peer.connection: [] for peer in peers}

    def run(peer: Peer) -> None:
        # The kernel opens no socket while the gateway's interface lacks its address.
        with contextlib.suppress(OSError):
            found[peer.connection] = _minute(gateway.address, peer.private_ip, number)

    threads = [threading.Thread(target=run, args=(peer,), daemon=True) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _minute(source: str, target: str, number: int) -> Answers:
    answers: list[float | None] = []
    echoes = Echoes(source, target, only_target=True)
    with echoes.socket:
        for each in range(number):
            began = time.monotonic()
            answers.append(_echo(echoes, each))
            time.sleep(max(0.0, began + 1 - time.monotonic()))
    return answers


def _echo(echoes: Echoes, number: int) -> float | None:
    """Send an echo; return the seconds that its answer took, or None when it takes more than one."""
    began = time.monotonic()
    echoes.send(number)
    while (answered := echoes.answer(began + 1)) is not None:
        if answered == number:
            return time.monotonic() - began
    return None
