"""Watches each tunnel and heals it: Libreswan alone needs up to minutes to notice that a peer is back.

Once a second an ICMP echo goes through the tunnel to the peer gateway. Only when no answer comes does the watch look
further: whether Child SAs stand and bring packets in, and whether the peer's IKE daemon answers. It never touches
policies or the packet filter, so a tunnel that is down still drops what must not leave in the clear.

A connection between several pairs of ranges has Child SAs that no echo uses, because the gateway has no address in
those ranges. The kernel counts the packets that the peer sends by an SA that this gateway does not have.

Each tunnel has its own thread, so a silent peer does not delay the others. `healing` decides; this module looks and
acts.
"""

import sys
import threading
import time

from expectations import ExpectationsError, Gateway, Peer, load
from healing import Strays, Tunnel
from icmp import Echoes
from ike_probe import probe
from pluto import initiate, traffic, whack


def act(connection: str, step: str) -> bool:
    """Take a step; return whether pluto knows the connection."""
    if step == "reset":
        # 5.2 tells the peer and waits for it, up to retransmit-timeout. Asked a second time, it no longer waits.
        whack("--terminate", "--name", connection, seconds=1)
        whack("--terminate", "--name", connection, seconds=1)
    return initiate(connection)


def inward(connection: str) -> dict[str, int | None] | None:
    """Return pair and SA -> bytes in (None: the kernel has lost the SA); None when pluto does not answer."""
    text = whack("--trafficstatus")
    if text is None:
        return None
    return {sa: carried and carried[0] for sa, carried in traffic(connection, text).items()}


def strays() -> int:
    """Return how many packets the kernel had no SA for since it booted."""
    with open("/proc/net/xfrm_stat", encoding="utf-8") as file:
        return int(file.read().split("XfrmInNoStates")[1].split()[0])


class Watch:
    """One tunnel and the means to look at it and to act."""

    def __init__(self, gateway: Gateway, peer: Peer) -> None:
        self.name, self.address = peer.connection, peer.public_ip
        self.echoes, self.number = Echoes(gateway.address, peer.private_ip, only_target=True), 0
        self.tunnel = Tunnel(self.name, gateway.local_id < self.address, time.monotonic(), peer.pair)
        self.strays = Strays() if peer.pair else None

    def run(self) -> None:
        """Watch without end."""
        while True:
            began = time.monotonic()
            self.number = (self.number + 1) % 0x10000
            self.echoes.send(self.number)
            self.look()
            time.sleep(max(0.0, began + 1 - time.monotonic()))

    def look(self) -> None:
        """Check the answer to an echo, also a late one to an earlier echo, and act if necessary."""
        if self.echoes.answer(time.monotonic() + 0.5) is not None:
            self.tunnel.answer(time.monotonic())
            if self.strays and self.strays.judge(time.monotonic(), strays()):
                print(f"tunnel {self.name}: the peer sends by SAs that are not here: asking for other SAs", flush=True)
                act(self.name, "initiate")
            return
        seen = inward(self.name)
        step = self.tunnel.judge(time.monotonic(), seen, self.reachable)
        if step and not act(self.name, step):
            self.tunnel.undo()

    def reachable(self) -> bool:
        """Return whether the peer's IKE daemon answers on both ports."""
        return all(probe(self.address, port) == "answers" for port in (4500, 500))


def main() -> None:
    """Watch all tunnels without end."""
    try:
        gateway = load()
    except ExpectationsError as error:
        sys.exit(str(error))
    watches = [Watch(gateway, peer) for peer in gateway.peers]
    threads = [threading.Thread(target=watch.run, daemon=True) for watch in watches]
    for thread in threads:
        thread.start()
    while all(thread.is_alive() for thread in threads):
        time.sleep(1)
    # systemd starts the program again. The thread has already printed its error.
    sys.exit(1)


if __name__ == "__main__":
    main()
