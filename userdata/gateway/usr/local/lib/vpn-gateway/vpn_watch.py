"""Watches each tunnel and heals it: Libreswan alone needs up to minutes to notice that a peer is back.

`healing` decides; this module looks and acts. It never touches policies or the packet filter, so a tunnel that is down
leaks nothing. Each tunnel has its own thread, so that a silent peer delays no other.
"""

import sys
import threading
import time

from expectations import ExpectationsError, Gateway, Peer, load
from healing import PATIENCE, Strays, Tunnel
from icmp import Echoes
from ike_probe import probe
from pluto import initiate, traffic, whack


def act(names: list[str], step: str) -> bool:
    """Take a step for each connection or alias; return whether pluto knows all of them."""
    if step == "reset":
        # 5.2 tells the peer and waits for it, up to retransmit-timeout. Asked a second time, it no longer waits. The
        # first name has the IKE SA and comes last: while others are up, 5.2 revives them, and 4.10 keeps the IKE SA.
        for name in names[::-1] * 2:
            whack("--terminate", "--name", name, seconds=1)
    return all(initiate(name) for name in names)


def inward(connection: str) -> dict[str, int | None] | None:
    """Return SA -> bytes in (None: the kernel has lost the SA); None when pluto does not answer."""
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
        self.echoes = Echoes(gateway.address, peer.private_ip, only_target=True) if peer.private_ip else None
        self.tunnel = Tunnel(self.name, gateway.local_id < self.address, time.monotonic())
        several = "," in gateway.local_cidr_blocks + peer.cidr_blocks
        self.names = [self.name, self.name + "/others"][: 1 + several]
        self.strays = None if self.echoes and not several else Strays()
        self.answers = 0

    def run(self) -> None:
        """Watch without end."""
        while True:
            began = time.monotonic()
            self.look()
            time.sleep(max(0.0, began + 1 - time.monotonic()))

    def up(self) -> bool:
        """Return whether an echo is answered, also an earlier one; without echoes, whether an SA stands."""
        if self.echoes:
            self.echoes.send(0)
            return self.echoes.answer(time.monotonic() + 0.5) is not None
        return any(seen is not None for seen in (inward(self.name) or {}).values())

    def look(self) -> None:
        """Look at the tunnel, and act if necessary."""
        if self.up():
            self.tunnel.answer(time.monotonic())
            self.answers += bool(self.echoes)
            # Two negotiations at once leave an SA that the peer lacks (libreswan #2184). Another is the newest on both.
            if self.answers == 5 and any(sa < "/" and not seen for sa, seen in (inward(self.name) or {}).items()):
                act([self.name], "initiate")
            if self.strays and self.strays.judge(time.monotonic(), strays()):
                print(f"tunnel {self.name}: the peer sends by SAs that are not here: asking for other SAs", flush=True)
                act(self.names, "initiate")
            return
        self.answers = 0
        # A peer that authenticates again has no SA for a moment.
        if not self.echoes and time.monotonic() - self.tunnel.heard < PATIENCE:
            return
        seen = inward(self.name)
        step = self.tunnel.judge(time.monotonic(), seen, self.reachable)
        if step and not act(self.names, step):
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
    threads = [threading.Thread(target=Watch(gateway, peer).run, daemon=True) for peer in gateway.peers]
    for thread in threads:
        thread.start()
    while all(thread.is_alive() for thread in threads):
        time.sleep(1)
    # systemd starts the program again. The thread has already printed its error.
    sys.exit(1)


if __name__ == "__main__":
    main()
