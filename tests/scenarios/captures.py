"""Captures by tcpdump(8), and the judge that looks for leaks in them afterwards.

There are two kinds of places. In the lab's Internet every packet from a VPC comes in once. At a gateway's own port in
its VPC, packets are seen before the Internet gateway, which would drop the worst ones.
"""

import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import settings
from lab.network.sockets import call_in
from tests.scenarios.sites import Pair

SNAPSHOT_BYTES: Final = 256
"""Bytes kept of each packet: link header, IP, TCP with options, and more than the marker, which comes first."""

_BUFFER_KIB = 8192
_START_SECONDS = 10.0
_RETRY_SECONDS = 0.1
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
# pcap(3PCAP), "savefile": magic in the writer's byte order, with microseconds.
_MAGIC = b"\xd4\xc3\xb2\xa1"
_FILE_HEADER, _PACKET_HEADER = 24, struct.Struct("<IIII")


@dataclass(frozen=True)
class Violation:
    """One packet that must not be seen where it was."""

    at: float
    """Seconds since the epoch."""
    where: str
    rule: str
    packet: str
    """As tcpdump prints it."""

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.at:.3f} {self.where}: {self.rule}: {self.packet}"


@dataclass(frozen=True)
class Rule:
    """Packets that a capture must not contain."""

    text: str
    forbidden: str
    """A pcap-filter(7) expression."""


@dataclass(frozen=True)
class Place:
    """Where to capture, and the packets that must not be seen there."""

    name: str
    namespace: str
    interface: str
    interesting: str
    """The packets that are written, as a pcap-filter(7) expression."""
    rules: tuple[Rule, ...]


def places(pair: Pair) -> list[Place]:
    """Return the three places of the pair."""
    return [internet(pair), *(gateway_port(pair, site.name) for site in pair.sites)]


def internet(pair: Pair) -> Place:
    """Return the lab's Internet: only public addresses, and between the Elastic IPs nothing but IKE and ESP in UDP."""
    sources = " or ".join(f"src net {network}" for network in _PRIVATE)
    destinations = " or ".join(f"dst net {network}" for network in _PRIVATE)
    between = f"(host {pair.uk.gateway.public_ip} and host {pair.au.gateway.public_ip})"
    ike = "(udp and (port 500 or port 4500))"
    # RFC 792: `destination unreachable` quotes the packet it is about. The rule checks the protocol and the ports of
    # the quoted packet. Behind them is IKE or ESP.
    ports = " or ".join(f"icmp[{place}:2] = {port}" for place in (28, 30) for port in (500, 4500))
    about_ike = f"(icmp[0] = 3 and icmp[8] = 0x45 and icmp[17] = 17 and ({ports}))"
    return Place(
        name="internet",
        namespace=settings.INTERNET_NAMESPACE,
        interface="any",
        interesting="ip or ip6",
        rules=(
            Rule("a private source on the Internet", sources),
            Rule("a private destination on the Internet", destinations),
            Rule("not UDP 500/4500 between the Elastic IPs", f"{between} and not ({ike} or {about_ike})"),
        ),
    )


def gateway_port(pair: Pair, name: str) -> Place:
    """Return a gateway's port: nothing in plain text to the other side's network."""
    site, other = pair.site(name), pair.other(pair.site(name))
    return Place(
        name=site.gateway.name,
        namespace=site.gateway.vpc_namespace,
        interface=site.gateway.tap,
        interesting=f"ip and not dst net {site.network}",
        rules=(Rule("plain text for the other side leaves the gateway", f"dst net {other.network}"),),
    )


def judge(files: Sequence[Path], place: Place, marker: bytes) -> list[Violation]:
    """Return the packets of one place that break its rules, and all packets with the marker."""
    violations = []
    for path in files:
        for rule in place.rules:
            violations += [Violation(at, place.name, rule.text, text) for at, text in _print(path, rule.forbidden)]
        marked = [number for number, packet in enumerate(_packets(path)) if marker in packet]
        printed = _print(path, "") if marked else []
        violations += [Violation(printed[n][0], place.name, "the marker in the clear", printed[n][1]) for n in marked]
    return sorted(violations, key=lambda violation: violation.at)


class Recorder:
    """tcpdump in one place, from `start` to `stop`, also while its interface goes and comes back."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.files: list[Path] = []
        self.dropped = 0
        """Packets that the kernel or an interface dropped before tcpdump saw them."""
        self.seen = 0
        self.problem = ""
        """Output of a tcpdump that ended too early."""
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture-{place.name}", daemon=True)

    def start(self) -> None:
        """Return when tcpdump listens, or when the interface does not exist yet. Raises RuntimeError when it fails."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        if not self._listening.wait(_START_SECONDS) or self.problem:
            self.stop()
            raise RuntimeError(f"tcpdump on {self.place.name} does not listen: {self.problem or 'silence'}")

    def stop(self) -> None:
        """End tcpdump. The files are then complete."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._exists():
                self._capture()
            else:
                self._listening.set()
                self._stopping.wait(_RETRY_SECONDS)

    def _exists(self) -> bool:
        if self.place.interface == "any":
            return True
        try:
            call_in(self.place.namespace, lambda: socket.if_nametoindex(self.place.interface))
        except OSError:
            return False
        return True

    def _capture(self) -> None:
        path = self._folder / f"{self.place.name}-{len(self.files)}.pcap"
        command = [
            *("ip", "netns", "exec", self.place.namespace),
            *("tcpdump", "-n", "-U", "-i", self.place.interface, "-Q", "in", "-s", str(SNAPSHOT_BYTES)),
            # tcpdump stays root, because another user could not write here.
            *("-B", str(_BUFFER_KIB), "-Z", "root", "-w", str(path), self.place.interesting),
        ]
        output = ""
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            self._process = process
            assert process.stderr
            for line in process.stderr:
                output += line
                if "listening on" in line:
                    self._listening.set()
                    if self._stopping.is_set():
                        process.send_signal(signal.SIGINT)
        if path.exists() and path.stat().st_size:
            self.files.append(path)
        self._count(output)
        if not self._stopping.is_set() and not self._is_gone(output):
            self.problem = output.strip()
            self._listening.set()
            self._stopping.wait(_RETRY_SECONDS)

    def _count(self, output: str) -> None:
        for line in output.splitlines():
            number, _, what = line.partition(" ")
            if what.startswith("packets dropped") and number.isdigit():
                self.dropped += int(number)
            elif what.startswith("packets captured") and number.isdigit():
                self.seen += int(number)

    @staticmethod
    def _is_gone(output: str) -> bool:
        return any(phrase in output for phrase in ("No such device", "disappeared", "went down", "is not up"))


@dataclass
class Captures:
    """The recorders of all places; `violations` is complete after the block of `capturing`."""

    recorders: list[Recorder]
    violations: list[Violation]

    @property
    def packets(self) -> int:
        """Number of packets seen in all places."""
        return sum(recorder.seen for recorder in self.recorders)

    @property
    def dropped(self) -> int:
        """Number of packets that could not be judged."""
        return sum(recorder.dropped for recorder in self.recorders)


@contextmanager
def capturing(at: Sequence[Place], folder: Path, marker: bytes) -> Iterator[Captures]:
    """Capture in every place while the block runs, and judge the packets afterwards.

    Raises RuntimeError when a tcpdump ended early.
    """
    shutil.rmtree(folder, ignore_errors=True)
    captures = Captures([Recorder(place, folder) for place in at], [])
    with ExitStack() as stack:
        for recorder in captures.recorders:
            recorder.start()
            stack.callback(recorder.stop)
        yield captures
    for recorder in captures.recorders:
        if recorder.problem:
            raise RuntimeError(f"tcpdump on {recorder.place.name} ended by itself: {recorder.problem}")
        captures.violations += judge(recorder.files, recorder.place, marker)


def _print(path: Path, expression: str) -> list[tuple[float, str]]:
    """Return (seconds since the epoch, text) of the packets in a file that match."""
    command = ["tcpdump", "-nn", "-tt", "-r", str(path), *([expression] if expression else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # If the writer was killed, the file ends in the middle of a packet. The packets before that one count.
    if done.returncode and "truncated" not in done.stderr:
        raise RuntimeError(f"tcpdump cannot read {path}: {done.stderr.strip()}")
    lines = [line.split(" ", 1) for line in done.stdout.splitlines() if line[:1].isdigit()]
    return [(float(at), text) for at, text in lines]


def _packets(path: Path) -> Iterator[bytes]:
    """Yield the packets of a capture file, each with its link header (pcap(3PCAP), savefile format)."""
    data = path.read_bytes()
    if data[:4] != _MAGIC:
        raise ValueError(f"{path} is no capture of this machine's tcpdump: it starts with {data[:4]!r}")
    place = _FILE_HEADER
    while place + _PACKET_HEADER.size <= len(data):
        _, _, kept, _ = _PACKET_HEADER.unpack_from(data, place)
        place += _PACKET_HEADER.size
        yield data[place : place + kept]
        place += kept
