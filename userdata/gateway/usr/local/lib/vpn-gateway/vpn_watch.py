#!/usr/bin/env python3
"""Watches each tunnel from inside and heals it: Libreswan alone needs up to minutes to see that a peer is back.

Once a second an ICMP echo goes through the tunnel to the peer gateway. Only when no answer comes is anything else
looked at: whether Child SAs stand and bring packets in, and whether the peer's IKE daemon answers at all. Policies and
packet filter are never touched, so a tunnel that is taken down is a tunnel that drops.

Between several ranges there are Child SAs that no echo goes by: the gateway has no address there. What the peer sends
by one that is not here, the kernel counts.

Each tunnel has a thread, so that a peer that is silent, which costs seconds, delays no look at another one.

`Tunnel` and `Strays` decide and do nothing; the rest does and decides nothing.
"""

import contextlib
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Any

from vpn_probe import probe

EXPECTATIONS = "/etc/vpn-gateway/gateway.json"
WHACK = "/usr/libexec/ipsec/whack"
"""Debian's place in 12 and 13; the `ipsec` around it is a shell script that starts five processes more."""

NO_PLUTO = 33
"""whack's exit code without a pluto (RC_WHACK_PROBLEM)."""

PATIENCE = 3.0
"""Seconds without an answer and without a byte from the peer, until a tunnel with SAs counts as dead."""

GRACE = 5.0
"""Seconds that a step is given to show its effect: negotiations take two round trips, and their arithmetic."""

STRAYS = 3
"""Looks that see strays, until something is done: a rekey makes some, for a moment."""

CALM = 10.0
"""Seconds without strays, after which the looks before do not count any more."""


class Tunnel:
    """What to do about one tunnel, by what is seen of it; times are seconds of one monotonic clock.

    Two steps there are. `initiate` asks for a Child SA beside the old ones, over the IKE SA if there is one: it breaks
    nothing, the kernel sends by the newest. `reset` first drops all that the connection has. When both sides reset at
    once, each may drop what the other has just made: so the side that is not `first` waits longer, but when it has
    nothing to drop.

    `pair` is the pair of ranges that the echoes go by, as pluto names it: `/1x2`, nothing where there is but one.
    """

    def __init__(self, name: str, first: bool, now: float, pair: str = "") -> None:
        self.name, self.pair = name, pair
        # How many seconds the other side goes ahead.
        self.turn = 0 if first else GRACE
        self.heard = self.moved = now
        self.busy = -PATIENCE
        self.proven = False
        self.said = ""
        self.calm()

    def calm(self) -> None:
        """Forget the trouble."""
        self.inward: dict[str, str] | None = None
        self.since: float | None = None
        self.lost = False
        self.tries = 0
        self.due = 0.0

    def say(self, text: str) -> None:
        """Tell the journal, once."""
        if text != self.said:
            self.said = text
            print(f"tunnel {self.name}: {text}", flush=True)

    def answer(self, now: float) -> None:
        """Take note that the peer has answered an echo."""
        if self.said:
            self.say(f"carries packets again after {now - self.heard:.0f} s")
            self.said = ""
        self.heard, self.proven = now, True
        self.calm()

    def judge(self, now: float, inward: dict[str, str] | None, reachable: Any) -> str:
        """Return `initiate`, `reset` or nothing, when an echo was not answered.

        `inward` is pair and SA -> counter of bytes in, None when pluto does not answer; `reachable()` says whether the
        peer's IKE daemon does, and is only called when it matters: each call costs the peer lines in its log.
        """
        if inward is None:
            self.say("pluto does not answer")
            self.since = None
            return ""
        # Any change counts: the counter of 4.10 has 32 bits. A new SA is given time to show what it is worth.
        before, self.inward = self.inward, inward
        grown = [] if before is None else [sa for sa in inward if inward[sa] != before.get(sa)]
        self.busy = now if grown else self.busy
        self.moved = now if self.own(grown) else self.moved
        stands = self.own(inward)
        if stands and now - max(self.heard, self.moved) < PATIENCE:
            return ""
        if self.since is not None and now < self.due:
            return ""
        if not reachable():
            self.say("silent, and so is the peer's IKE daemon")
            self.since, self.lost = None, True
            return ""
        if self.since is None:
            self.since, self.tries, self.due = now, 0, now
            # Perhaps all that was missing was the path. And a peer that was away is likely to begin by itself.
            if self.lost and stands:
                self.due += PATIENCE + self.turn
        return self.step(now, stands) if now >= self.due else ""

    def step(self, now: float, stands: bool) -> str:
        """Return what is next while the peer's IKE daemon answers and the tunnel is dead."""
        self.tries += 1
        if self.tries == 1 and not self.lost:
            self.say("silent, the peer's IKE daemon answers: asking for other SAs")
            self.due = now + GRACE + self.turn
            return "initiate"
        pause = min(2.0 ** min(self.tries + 2, 12), 3600 if stands else 30)
        self.due = now + pause * random.uniform(1, 1.5) + self.turn  # noqa: S311 - no secret
        # Perhaps it works for all but echoes. Perhaps it never worked: where both sides begin at once, Libreswan 5.2
        # may leave them with Child SAs that are not the same at both ends (libreswan #2184).
        # And what passes between other ranges is not cut off.
        if (stands and not self.proven) or now - self.busy < PATIENCE:
            self.say("silent, perhaps to echoes alone: asking for other SAs")
            return "initiate"
        self.say("silent, the peer's IKE daemon answers: negotiating from the start")
        return "reset"

    def own(self, sas: Any) -> bool:
        """Return whether one of them is of the pair that the echoes go by."""
        return any(sa.startswith(self.pair + "#") for sa in sas)

    def undo(self) -> None:
        """Take note that the step could not be taken: pluto has not read its connections yet."""
        self.tries -= 1
        self.due = 0.0


class Strays:
    """Whether to ask for other SAs, by how many packets have come for SAs that are not here; times as `Tunnel`'s."""

    def __init__(self) -> None:
        self.count = self.looks = 0
        self.pause = GRACE
        self.last = self.due = -3600.0

    def judge(self, now: float, count: int) -> bool:
        """Return whether it is time, when `count` have come since the machine booted."""
        if count <= self.count:
            return False
        self.count = count
        self.looks = 1 if now - self.last > CALM else self.looks + 1
        self.last = now
        if self.looks < STRAYS or now < self.due:
            return False
        # Where it does not help it is done ever more seldom, until it has not been needed for an hour.
        self.pause = GRACE if now - self.due > 3600 else min(2 * self.pause, 3600)
        self.looks, self.due = 0, now + self.pause
        return True


class Echo:
    """ICMP echoes (RFC 792) between two addresses: a raw socket, no process."""

    def __init__(self, source: str, target: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.bind((source, 0))
        # The kernel then hands over what comes from there, and nothing else.
        self.socket.connect((target, 0))
        self.number = 0

    def send(self) -> None:
        """Send one; that it could not be sent shows in what is not answered."""
        self.number = (self.number + 1) & 0xFFFF
        total = 0x0800 + os.getpid() % 0x10000 + self.number
        total = (total & 0xFFFF) + (total >> 16)
        total = (total & 0xFFFF) + (total >> 16)
        with contextlib.suppress(OSError):
            self.socket.send(struct.pack("!4H", 0x0800, ~total & 0xFFFF, os.getpid() % 0x10000, self.number))

    def heard(self, seconds: float) -> bool:
        """Return whether an answer comes within the time, also a late one to an earlier echo."""
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            self.socket.settimeout(rest)
            try:
                packet = self.socket.recv(999)
                kind, _, identifier = struct.unpack_from("!3H", packet, packet[0] % 16 * 4)
            except (OSError, struct.error):
                continue
            if (kind, identifier) == (0, os.getpid() % 0x10000):
                return True
        return False


def whack(*arguments: str, seconds: float = 5) -> str | None:
    """Return what pluto said, None when it is not there or hangs."""
    try:
        done = subprocess.run([WHACK, *arguments], capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode == NO_PLUTO else done.stdout + done.stderr


def inward(connection: str, text: str | None) -> dict[str, str] | None:
    """Return pair and SA -> its counter of bytes in, by `whack --trafficstatus`; none when the kernel has lost it."""
    if text is None:
        return None
    found = re.findall(rf'(#\d+): "{re.escape(connection)}(/\w+)?"(?:.*inBytes=(\d+))?', text)
    return {pair + sa: count for sa, pair, count in found}


def act(connection: str, step: str) -> bool:
    """Take a step; return whether pluto knew the connection."""
    if step == "reset":
        # 5.2 tells the peer first and waits for it, up to retransmit-timeout; being told again it waits no longer.
        whack("--terminate", "--name", connection, seconds=1)
        whack("--terminate", "--name", connection, seconds=1)
    said = whack("--initiate", "--asynchronous", "--name", connection)
    return said is not None and "no connection" not in said


def strays() -> int:
    """Return how many packets the kernel had no SA for since it booted."""
    with open("/proc/net/xfrm_stat", encoding="utf-8") as file:
        return int(file.read().split("XfrmInNoStates")[1].split()[0])


class Watch:
    """One tunnel, and what is needed to look at it and to act."""

    def __init__(self, expected: Any, peer: Any) -> None:
        self.name, self.address = peer["connection"], peer["public_ip"]
        self.echo = Echo(expected["address"], peer["private_ip"])
        self.tunnel = Tunnel(self.name, expected["local_id"] < self.address, time.monotonic(), peer["pair"])
        self.strays = Strays() if peer["pair"] else None

    def run(self) -> None:
        """Watch for ever."""
        while True:
            began = time.monotonic()
            self.echo.send()
            self.look()
            time.sleep(max(0.0, began + 1 - time.monotonic()))

    def look(self) -> None:
        """See whether the last echo was answered, and what to do if not, or for what no echo goes by."""
        if self.echo.heard(0.5):
            self.tunnel.answer(time.monotonic())
            if self.strays and self.strays.judge(time.monotonic(), strays()):
                print(f"tunnel {self.name}: the peer sends by SAs that are not here: asking for other SAs", flush=True)
                act(self.name, "initiate")
            return
        seen = inward(self.name, whack("--trafficstatus"))
        step = self.tunnel.judge(time.monotonic(), seen, self.reachable)
        if step and not act(self.name, step):
            self.tunnel.undo()

    def reachable(self) -> bool:
        """Return whether the peer's IKE daemon answers where it is needed."""
        return all(probe(self.address, port) == "answers" for port in (4500, 500))


def main() -> None:
    """Watch all tunnels for ever."""
    try:
        with open(EXPECTATIONS, encoding="utf-8") as file:
            expected = json.load(file)
        watches = [Watch(expected, peer) for peer in expected["peers"]]
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{EXPECTATIONS} is not what the user data writes ({error!r}): write it anew, or replace the instance")
    threads = [threading.Thread(target=watch.run, daemon=True) for watch in watches]
    for thread in threads:
        thread.start()
    while all(thread.is_alive() for thread in threads):
        time.sleep(1)
    # systemd starts all of it again; what was wrong, the thread has said.
    sys.exit(1)


if __name__ == "__main__":
    main()
