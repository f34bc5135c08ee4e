"""The test of the article: private hosts ping each other, with tcpdump on both receivers and in the Internet.

Writes to `.lab/evidence/` the two pings, the two captures on the private hosts, the capture in the lab's Internet, and
`evidence.json` with the figures and every expectation that does not hold. Both pings run at the same time.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field

from lab import hosts, settings
from lab.capture import Capture, capturing
from lab.observe import observe_now
from lab.world import World

PINGS = 5
EXPECTED_TTL = 62
"""TTL of a reply: 64, minus one per gateway. Nothing else on the way decrements it."""

_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) received.* ([\d.]+)% packet loss")
_REPLY = re.compile(r"bytes from ([\d.]+): icmp_seq=\d+ ttl=(\d+) time=([\d.]+) ms")
_ADDRESSES = re.compile(
    r"IP (?P<source>\d+\.\d+\.\d+\.\d+)(?:\.(?P<sport>\d+))? > (?P<to>\d+\.\d+\.\d+\.\d+)(?:\.(?P<dport>\d+))?: "
)
_IPSEC_PORTS = {"500", "4500"}


@dataclass(frozen=True)
class Endpoint:
    """One side of the article's test."""

    private_host: str
    private_ip: str
    gateway_public_ip: str


@dataclass
class Direction:
    """The figures of one ping and of the capture on its receiver."""

    sender: str
    receiver: str
    transmitted: int = 0
    received: int = 0
    loss_percent: float = 100.0
    ttls: list[int] = field(default_factory=list)
    round_trip_ms: list[float] = field(default_factory=list)
    requests_seen_from_sender: int = 0


@dataclass
class Evidence:
    """The result of the test; it holds when `failures` is empty."""

    directions: list[Direction] = field(default_factory=list)
    internet_packets: int = 0
    internet_packets_each_way: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def collect(left: str = "au", right: str = "uk") -> Evidence:
    """Run the test between `<left>-private` and `<right>-private`, write `.lab/evidence/`, and return the result.

    Raises LookupError when one of the four instances does not run.
    """
    world = observe_now()
    sides = (_endpoint(world, left), _endpoint(world, right))
    settings.EVIDENCE.mkdir(parents=True, exist_ok=True)
    evidence = Evidence()
    ways = (sides, sides[::-1])
    with ExitStack() as stack, ThreadPoolExecutor(len(ways)) as pool:
        on_internet = stack.enter_context(capturing(hosts.INTERNET, ["ip", "or", "ip6"]))
        on_receivers = [stack.enter_context(capturing(to.private_host, [_one_ping(sender)])) for sender, to in ways]
        pings = list(pool.map(_ping, ways))
    for (sender, receiver), ping, on_receiver in zip(ways, pings, on_receivers, strict=True):
        _write(f"ping-{sender.private_host}-to-{receiver.private_host}.txt", ping)
        _write(f"tcpdump-{receiver.private_host}.txt", on_receiver.text)
        print(f"\nroot@{sender.private_host}:~# ping -c {PINGS} {receiver.private_ip}\n{ping}")
        print(f"root@{receiver.private_host}:~# tcpdump -n '{_one_ping(sender)}'\n{on_receiver.text}")
        evidence.directions.append(judge_direction(sender, receiver, ping, on_receiver, evidence.failures))
    _write("tcpdump-internet.txt", on_internet.text)
    print(f"root@internet:~# tcpdump -n ip or ip6\n{on_internet.text}")
    judge_internet(sides, on_internet, evidence, packets=PINGS * len(ways))
    _write("evidence.json", json.dumps({"holds": not evidence.failures, **asdict(evidence)}, indent=2) + "\n")
    return evidence


def _ping(way: tuple[Endpoint, Endpoint]) -> str:
    sender, receiver = way
    done = hosts.run(sender.private_host, ["ping", "-c", str(PINGS), receiver.private_ip], timeout=60)
    return (done.stdout + done.stderr).decode(errors="replace")


def _one_ping(sender: Endpoint) -> str:
    """Return the capture expression for the ping of `sender`: its requests and the replies to them."""
    request, reply = "icmp[icmptype] == icmp-echo", "icmp[icmptype] == icmp-echoreply"
    return f"({request} and src host {sender.private_ip}) or ({reply} and dst host {sender.private_ip})"


def _endpoint(world: World, side: str) -> Endpoint:
    interfaces = {interface.id: interface for vpc in world.vpcs for interface in vpc.network_interfaces}
    by_role = {}
    for role in ("gateway", "private"):
        name = f"{side}-{role}"
        instance = next((i for i in world.instances if i.name == name and i.state == "running"), None)
        if instance is None:
            running = ", ".join(sorted(i.name for i in world.instances if i.state == "running")) or "none"
            raise LookupError(f"no running instance is named {name!r} (running: {running}); bring the stack up first")
        by_role[role] = interfaces[instance.network_interface_id]
    public_ip = by_role["gateway"].public_ip
    if public_ip is None:
        raise LookupError(f"{side}-gateway has no Elastic IP; bring the stack up first")
    return Endpoint(f"{side}-private", str(by_role["private"].private_ip), str(public_ip))


def judge_direction(sender: Endpoint, receiver: Endpoint, ping: str, seen: Capture, failures: list[str]) -> Direction:
    """Return the figures of one direction; add to `failures` every difference from the article."""
    direction = Direction(sender.private_host, receiver.private_host)
    if summary := _SUMMARY.search(ping):
        direction.transmitted, direction.received = int(summary[1]), int(summary[2])
        direction.loss_percent = float(summary[3])
    for address, ttl, milliseconds in _REPLY.findall(ping):
        if address == receiver.private_ip:
            direction.ttls.append(int(ttl))
            direction.round_trip_ms.append(float(milliseconds))
    request = f"IP {sender.private_ip} > {receiver.private_ip}: ICMP echo request"
    direction.requests_seen_from_sender = sum(request in packet for packet in seen.packets)
    title = f"{sender.private_host} -> {receiver.private_host}"
    if direction.received != PINGS or direction.loss_percent:
        failures.append(f"{title}: {direction.received} of {PINGS} pings came back")
    if direction.ttls != [EXPECTED_TTL] * PINGS:
        failures.append(f"{title}: ttl {direction.ttls or 'of no reply'}, not {EXPECTED_TTL} each time")
    if direction.requests_seen_from_sender != PINGS:
        failures.append(
            f"{title}: {receiver.private_host} saw {direction.requests_seen_from_sender} requests from "
            f"{sender.private_ip}, not {PINGS}"
        )
    return direction


def judge_internet(
    sides: tuple[Endpoint, Endpoint], seen: Capture, evidence: Evidence, *, packets: int = PINGS
) -> None:
    """Count the packets in the Internet in `evidence`; every packet that is not IPsec between the EIPs is a failure.

    `packets` is the minimum for each direction: each echo is one packet in one direction, and its reply one in the
    other.
    """
    public = {side.gateway_public_ip for side in sides}
    for packet in seen.packets:
        match = _ADDRESSES.search(packet)
        expected = (
            match is not None
            and {match["source"], match["to"]} == public
            and match["sport"] in _IPSEC_PORTS
            and match["dport"] in _IPSEC_PORTS
        )
        if not expected or match is None:
            evidence.failures.append(f"the Internet saw something other than UDP 500/4500 between the EIPs: {packet}")
            continue
        way = f"{match['source']} > {match['to']}"
        evidence.internet_packets += 1
        evidence.internet_packets_each_way[way] = evidence.internet_packets_each_way.get(way, 0) + 1
    for source, to in (sorted(public), sorted(public, reverse=True)):
        way = f"{source} > {to}"
        if evidence.internet_packets_each_way.get(way, 0) < packets:
            evidence.failures.append(f"the Internet saw fewer than {packets} encrypted packets {way}")


def _write(name: str, text: str) -> None:
    (settings.EVIDENCE / name).write_text(text)
