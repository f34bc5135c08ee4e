"""Tools of the network's tests that run inside namespaces: ping, a tunnel, a capture, a DHCP client."""

import fcntl
import os
import re
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path

from lab.network.sockets import call_in

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_TAP, _IFF_NO_PI = 0x0001, 0x0002, 0x1000
_ETH_P_IP = 0x0800


@dataclass(frozen=True)
class Ping:
    """The result of ping(8)."""

    received: int
    ttl: int | None
    output: str


def ping(namespace: str | None, address: str, *options: str, count: int = 1) -> Ping:
    """Ping from a namespace (None: the root namespace), with a timeout of one second."""
    prefix = ["ip", "netns", "exec", namespace] if namespace else []
    command = [*prefix, "ping", "-n", "-c", str(count), "-i", "0.2", "-W", "1", *options, address]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    received = re.search(r"(\d+) received", output)
    ttl = re.search(r"ttl=(\d+)", output)
    return Ping(int(received[1]) if received else 0, int(ttl[1]) if ttl else None, output)


def drops(namespace: str, counter: str) -> int:
    """Return how many packets a named counter has counted."""
    command = ["ip", "netns", "exec", namespace, "nft", "list", "counter", "ip", "lab", counter]
    match = re.search(r"packets (\d+)", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert match
    return int(match[1])


def forward(namespace: str) -> None:
    """Switch IP forwarding on in a machine, as the gateways' user data does."""
    call_in(namespace, lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n"))


def open_device(namespace: str, name: str, *, tap: bool) -> int:
    """Open the tun or tap with a name in a namespace, as QEMU does, and return its descriptor."""

    def attach() -> int:
        descriptor = os.open("/dev/net/tun", os.O_RDWR)
        flags = (_IFF_TAP if tap else _IFF_TUN) | _IFF_NO_PI
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        return descriptor

    return call_in(namespace, attach)


@contextmanager
def tunnel(namespace: str, *, local: str, remote: str, network: str) -> Iterator[None]:
    """Carry packets to `network` in UDP datagrams to port 4500 of the machine at `remote`, as IPsec does."""
    device = open_device(namespace, "tunnel", tap=False)
    datagrams = call_in(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    datagrams.bind((local, 4500))
    for command in (["link", "set", "tunnel", "up", "mtu", "1400"], ["route", "add", network, "dev", "tunnel"]):
        subprocess.run(["ip", "-n", namespace, *command], check=True)
    stop_reader, stop_writer = os.pipe()

    def carry() -> None:
        while True:
            ready, _, _ = select.select([device, datagrams.fileno(), stop_reader], [], [])
            if stop_reader in ready:
                return
            if device in ready:
                datagrams.sendto(os.read(device, 65535), (remote, 4500))
            if datagrams.fileno() in ready:
                os.write(device, datagrams.recv(65535))

    carrier = threading.Thread(target=carry)
    carrier.start()
    try:
        yield
    finally:
        os.write(stop_writer, b"x")
        carrier.join()
        datagrams.close()
        for descriptor in (device, stop_reader, stop_writer):
            os.close(descriptor)


@contextmanager
def capture(namespace: str) -> Iterator[set[tuple[str, str, int, int]]]:
    """Collect (source, destination, protocol, destination port) of every IPv4 packet that a namespace's links carry."""
    seen: set[tuple[str, str, int, int]] = set()
    tap = call_in(namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)))
    tap.settimeout(0.2)
    done = threading.Event()

    def collect() -> None:
        while True:
            try:
                packet = tap.recv(65535)
            except TimeoutError:
                if done.is_set():
                    return
                continue
            header = (packet[0] & 15) * 4
            port = struct.unpack_from("!H", packet, header + 2)[0] if packet[9] in (6, 17) else 0
            seen.add((socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[9], port))

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        yield seen
    finally:
        done.set()
        collector.join()
        tap.close()


def dhcp_offer(device: int, mac_address: str) -> tuple[str, dict[int, bytes]]:
    """Send a DHCPDISCOVER through a tap; return the offered address and the options (RFC 2131, 2132)."""
    mac = bytes.fromhex(mac_address.replace(":", ""))
    bootp = struct.pack("!4BIHH16x16s192x4s", 1, 1, 6, 0, 0x4C414230, 0, 0x8000, mac, b"\x63\x82\x53\x63")
    bootp += bytes([53, 1, 1, 55, 5, 1, 3, 6, 15, 26, 255])
    udp = struct.pack("!4H", 68, 67, 8 + len(bootp), 0) + bootp
    ip = struct.pack("!2B3H2BH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    total = sum(struct.unpack("!10H", ip))
    checksum = 0xFFFF - (total % 0xFFFF)
    frame = b"\xff" * 6 + mac + b"\x08\x00" + ip[:10] + struct.pack("!H", checksum) + ip[12:] + udp
    # A tap can send only about a second after it was opened; DHCP clients repeat their messages (RFC 2131, 4.1).
    for _ in range(5):
        os.write(device, frame)
        while select.select([device], [], [], 1)[0]:
            answer = os.read(device, 65535)
            if answer[12:14] == b"\x08\x00" and answer[23] == 17 and answer[34:38] == b"\x00\x43\x00\x44":
                return socket.inet_ntoa(answer[58:62]), _options(answer[42 + 240 :])
    raise TimeoutError(f"no DHCP offer for {mac_address} within 5 s")


def _options(data: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    while data and data[0] != 255:
        if data[0] == 0:
            data = data[1:]
            continue
        options[data[0]] = data[2 : 2 + data[1]]
        data = data[2 + data[1] :]
    return options


@contextmanager
def udp_echo(namespace: str, address: str, port: int = 0) -> Iterator[int]:
    """Answer every datagram to `address` with `address`; yield the port."""
    server = call_in(namespace, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind((address, port))
    server.settimeout(0.1)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                _, client = server.recvfrom(100)
            except TimeoutError:
                continue
            server.sendto(address.encode(), client)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        done.set()
        thread.join()
        server.close()


def udp_client(namespace: str | None, address: str, port: int) -> socket.socket:
    """Return a UDP socket in the namespace (None: the root namespace) that is connected to an address."""

    def create() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    client = call_in(namespace, create) if namespace else create()
    client.connect((address, port))
    client.settimeout(0.5)
    return client


def answer(client: socket.socket) -> str | None:
    """Return the answer of an echo server; None when it does not answer within half a second."""
    client.send(b"who are you?")
    try:
        return client.recv(100).decode()
    except TimeoutError:
        return None


def answers(client: socket.socket) -> bool:
    """Return whether the echo server answers."""
    return answer(client) is not None


def resolve(namespace: str, name: str) -> str | None:
    """Resolve a name in the namespace to an IPv4 address; return None when there is none."""
    command = ["ip", "netns", "exec", namespace, "getent", "ahostsv4", name]
    for _ in range(20):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode in (0, 2):
            return result.stdout.split()[0] if result.stdout else None
    raise AssertionError(result)


def wait_for_dhcp(namespace: str) -> None:
    """Wait until the DHCP server, which was started a moment ago, has its socket."""
    deadline = time.monotonic() + 5
    while ":0043 " not in call_in(namespace, lambda: Path("/proc/thread-self/net/udp").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def fetch(server: str, path: str, **headers: str) -> tuple[int, HTTPMessage, bytes]:
    """Send a GET request by HTTP; return status, headers and body."""
    connection = HTTPConnection(server, timeout=5)
    connection.request("GET", path, headers=headers)
    with closing(connection), connection.getresponse() as response:
        return response.status, response.headers, response.read()


def answer_once(api: socket.socket) -> None:
    """Answer one request with a copy of it."""
    connection, _ = api.accept()
    with connection:
        request = b""
        # The PROXY protocol line comes before the request, possibly in a separate segment.
        while not request.endswith(b"\r\n\r\n") and (more := connection.recv(2000)):
            request += more
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request) + request)
