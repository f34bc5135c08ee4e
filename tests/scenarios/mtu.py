"""Large packets between the private hosts, by ping(8), tcpdump(8) and a TCP connection."""

import json
import re
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lab.capture import Capture
from tests.scenarios.sites import Site

TRANSFER_BYTES: Final = 100_000_000
PORT: Final = 7501
ICMP_HEADERS: Final = 28
"""Bytes of an echo request that are not payload: IPv4 and ICMP header."""

_SECONDS = 400.0

_RECEIVE = """
import hashlib, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
listener.settimeout(60)
connection, _ = listener.accept()
digest, count = hashlib.sha256(), 0
while block := connection.recv(1 << 20):
    digest.update(block)
    count += len(block)
connection.sendall(f"{count} {digest.hexdigest()}".encode())
"""
_SEND = """
import hashlib, json, os, socket, sys, time
address, port, left = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
deadline = time.monotonic() + 30
while True:
    try:
        connection = socket.create_connection((address, port), timeout=300)
        break
    except ConnectionRefusedError:
        assert time.monotonic() < deadline
        time.sleep(0.2)
digest, sent, began = hashlib.sha256(), 0, time.monotonic()
while left:
    block = os.urandom(min(left, 1 << 20))
    connection.sendall(block)
    digest.update(block)
    sent += len(block)
    left -= len(block)
connection.shutdown(socket.SHUT_WR)
answer = connection.makefile().read()
seconds = time.monotonic() - began
print(json.dumps({"sent": f"{sent} {digest.hexdigest()}", "received": answer, "seconds": seconds}))
"""


@dataclass(frozen=True)
class Transfer:
    """One TCP connection's worth of random bytes."""

    sent: str
    """Count and SHA-256 at the sender."""
    received: str
    """The same at the receiver, which sends it back over the connection."""
    seconds: float
    """From the first byte until the receiver's answer."""

    @property
    def megabits_per_second(self) -> float:
        """Payload over time."""
        return int(self.sent.split()[0]) * 8 / 1e6 / self.seconds


@dataclass(frozen=True)
class Refusal:
    """A packet that was too large."""

    router: str
    """The address that refused it."""
    next_hop_mtu: int


def transfer(sender: Site, receiver: Site, count: int = TRANSFER_BYTES) -> Transfer:
    """Send `count` random bytes from one private host to the other."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        to = receiver.private_host.private_ip
        receive = shlex.join(["python3", "-c", _RECEIVE, to, str(PORT)])
        receiving = pool.submit(receiver.private_host.ask, receive, timeout=_SECONDS)
        send = shlex.join(["python3", "-c", _SEND, to, str(PORT), str(count)])
        sending = sender.private_host.ask(send, timeout=_SECONDS)
        received = receiving.result()
    assert sending.returncode == 0, sending.stderr + received.stderr
    return Transfer(**json.loads(sending.stdout))


def ping(sender: Site, target: str, size: int, *, may_fragment: bool = False, count: int = 3) -> str:
    """Ping from a private host with IPv4 packets of `size` bytes, headers included; return ping's output."""
    # Forget what routers said before, so that every answer is to this ping.
    sender.private_host.ask("ip route flush cache")
    discovery = "dont" if may_fragment else "do"
    done = sender.private_host.ask(f"ping -n -c {count} -i 0.3 -W 2 -M {discovery} -s {size - ICMP_HEADERS} {target}")
    return done.stdout + done.stderr


def replies(text: str) -> int:
    """Return how many pings came back."""
    found = re.search(r"(\d+) received", text)
    return int(found[1]) if found else 0


def refusal(text: str) -> Refusal | None:
    """Return the first `fragmentation needed` (RFC 1191) that ping shows; None when there was none."""
    found = re.search(r"^From ([\d.]+) icmp_seq=\d+ Frag needed and DF set \(mtu = (\d+)\)", text, re.M)
    return Refusal(found[1], int(found[2])) if found else None


def segment_sizes(capture: Capture) -> dict[str, set[int]]:
    """Return `source > destination` -> the MSS options that its SYNs carry, from tcpdump's lines."""
    sizes: dict[str, set[int]] = {}
    for line in capture.packets:
        syn = re.search(r"IP ([\d.]+)\.\d+ > ([\d.]+)\.\d+: Flags \[S\.?\],.* options \[mss (\d+)", line)
        if syn:
            sizes.setdefault(f"{syn[1]} > {syn[2]}", set()).add(int(syn[3]))
    return sizes
