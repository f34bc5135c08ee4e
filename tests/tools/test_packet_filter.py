"""What the packet filter of a gateway does to real packets, loaded by its own script with the iptables of each release.

Three network namespaces: a private host, the gateway, and an Internet that even has a route back. Does not prove ESP,
which needs a guest's kernel (tests/scenarios): here every packet is in the clear. Command: `make test-tools`, and
`make test-debian-12` for the other release; needs root, leaves nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.machines import toolroot
from tests.unit.gateway_documents import (
    GatewayDocument,
    gateway_document,
    installed_files,
    one_rule_for_each_address,
    with_networks,
)

LIST_RULES = "iptables-save | grep -v '^#' | sed 's/ \\[.*//'"
SITE, PEER_RANGE = "10.1.0.0/16", "172.31.0.0/16"

ROUTED = """
ip link set lo up
for place in inside outside; do
    unshare --net sleep infinity &
    eval "$place=$!"
    until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    ip link add "$place" type veth peer name eth0 netns "$!"
    ip link set "$place" up
    nsenter --net --target "$!" ip link set lo up
    nsenter --net --target "$!" ip link set eth0 up
done
export inside outside gateway=$$
ip addr add 10.1.1.254/24 dev inside
ip addr add 192.0.2.1/24 dev outside
nsenter --net --target $inside ip addr add 10.1.1.5/24 dev eth0
nsenter --net --target $inside ip addr add 10.1.1.6/24 dev eth0
nsenter --net --target $inside ip route add default via 10.1.1.254
nsenter --net --target $outside ip addr add 192.0.2.2/24 dev eth0
for address in 198.51.100.20 172.31.200.200 10.5.0.9; do
    nsenter --net --target $outside ip addr add $address/32 dev eth0
done
nsenter --net --target $outside ip route add 10.1.0.0/16 via 192.0.2.1
ip route add default via 192.0.2.2
echo 1 >/proc/sys/net/ipv4/ip_forward
"""
"""Private host 10.1.1.5 and .6, gateway 10.1.1.254 and 192.0.2.1, and outside the Internet's 192.0.2.2, the peer's
gateway, one of the peer's private hosts, and one of this site's other network.
"""

PACKETS = '''
import ctypes, errno, json, os, re, socket, struct, subprocess, threading

HOST, GATEWAY, OUTSIDE, PEER, ELSEWHERE = "10.1.1.5", "10.1.1.254", "192.0.2.1", "198.51.100.20", "192.0.2.2"


def at(place, call):
    """Return what a call returns in `inside`, `gateway` or `outside`; sockets made there stay there."""
    results = []

    def run():
        with open(f"/proc/{os.environ[place]}/ns/net") as namespace:
            assert ctypes.CDLL(None).setns(namespace.fileno(), 0) == 0
        results.append(call())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def heard(place, act, seconds=0.3):
    """Return the packets that come to a place meanwhile: source, destination, and for UDP and TCP the ports."""
    def listen():
        return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))

    listener, packets = at(place, listen), set()
    listener.settimeout(seconds)
    act()
    try:
        while True:
            packet = listener.recv(2048)
            start = packet[0] % 16 * 4
            here, there = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
            if packet[9] in (6, 17):
                ports = struct.unpack_from("!2H", packet, start)
                here, there = f"{here}:{ports[0]}", f"{there}:{ports[1]}"
            elif packet[9] == 1:
                there += " icmp %d/%d" % tuple(packet[start : start + 2])
            packets.add(f"{here} > {there}")
    except TimeoutError:
        return sorted(packets)


def server(place, kind, port):
    """Return a socket that takes what comes to a port, on any address."""
    def make():
        made = socket.socket(socket.AF_INET, kind)
        made.bind(("0.0.0.0", port))
        return made

    made = at(place, make)
    if kind == socket.SOCK_STREAM:
        made.listen(9)
    made.settimeout(0.3)
    return made


def got(server):
    """Return from where a datagram came, or nothing."""
    try:
        return server.recvfrom(100)[1][0]
    except TimeoutError:
        return ""


def send(place, source, target, port=None):
    """Send a datagram from an address and port; the port is also the target's where no other is given."""
    def put():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.bind(source)
            link.sendto(b"x", (target, port or source[1]))

    at(place, put)


def call(place, source, target, port):
    """Return how a TCP connection went: `open`, `silent` or the error's name."""
    def dial():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
            link.settimeout(1)
            link.bind((source, 0))
            try:
                link.connect((target, port))
            except TimeoutError:
                return "silent"
            except OSError as error:
                return errno.errorcode[error.errno]
            return "open"

    return at(place, dial)


def ping(place, source, target):
    """Return how many of two echoes were answered."""
    argv = ["nsenter", "--net", "--target", os.environ[place], "ping", "-nqc2", "-i0.2", "-W1", "-I", source, target]
    return int(re.search(r"(\\d+) received", subprocess.run(argv, capture_output=True, text=True).stdout)[1])


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def header(protocol, size):
    """Return an IPv4 header up to its addresses; the kernel fills in the checksum (raw(7))."""
    return struct.pack("!2B3H2BH", 0x45, 0, 20 + size, 0, 0, 64, protocol, 0)


def segment(source, target, flags):
    """Return an IPv4 packet with a TCP segment from port 40000 + flags to port 80 and nothing in it (RFC 791, 9293)."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    tcp = struct.pack("!2H2L4H", 40000 + flags, 80, 1, 1, 5 << 12 | flags, 1000, 0, 0)
    whole = checksum(addresses + struct.pack("!2H", 6, len(tcp)) + tcp)
    return header(6, len(tcp)) + addresses + tcp[:16] + struct.pack("!2H", whole, 0)


def put(place, packet):
    """Send a packet with all its headers."""
    def go():
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as link:
            link.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))

    at(place, go)


said = {}
'''


def see(release: str, act: str, document: GatewayDocument | None = None, *, rules: str = "vpn-filter") -> Any:
    """Run a program that knows `PACKETS` and fills `said`, with the rules loaded; return what it said."""
    files = installed_files(document or gateway_document())
    files["/root/act.py"] = f"{PACKETS}\n{act}\nprint(json.dumps(said))\n"
    script = f"{ROUTED}\n{rules}\npython3 /root/act.py; kill $inside $outside"
    done = toolroot.run(release, ["sh", "-euc", script], files=files)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_iptables_accepts_the_rules_and_prints_them_as_they_are_written(release: str) -> None:
    document = with_networks(gateway_document(), local=(SITE,), remote=(PEER_RANGE, "10.7.0.0/28"))
    document = replace(document, administrator_cidr_blocks=("10.1.3.0/24", "172.31.0.9/32"))
    files = installed_files(document)
    rules = files["/etc/vpn-gateway/filter.rules"]
    assert toolroot.run(release, ["iptables-restore", "--test", "--noflush"], stdin=rules).returncode == 0
    done = toolroot.run(release, ["sh", "-euc", "vpn-filter; iptables-save"], files=files)
    printed = [line for line in done.stdout.splitlines() if line.startswith("-A VPN-")]
    written = [line for line in one_rule_for_each_address(rules).splitlines() if line.startswith("-A VPN-")]
    assert sorted(printed) == sorted(written), done.stderr


def test_reloading_the_rules_duplicates_nothing_and_leaves_the_rules_of_others(release: str) -> None:
    script = f"""
        iptables -A FORWARD -s 192.0.2.9 -j ACCEPT
        iptables -t nat -A POSTROUTING -s 192.0.2.9 -j ACCEPT
        vpn-filter; {LIST_RULES} >/tmp/once
        iptables -I FORWARD -j ACCEPT; iptables -t nat -I POSTROUTING -j MASQUERADE
        vpn-filter
        iptables -D FORWARD -j ACCEPT; iptables -t nat -D POSTROUTING -j MASQUERADE
        vpn-filter; vpn-filter; {LIST_RULES} >/tmp/again
        diff /tmp/once /tmp/again
        grep -c -- '-s 192.0.2.9/32 -j ACCEPT' /tmp/again
        grep -A1 -- '^-A FORWARD -j VPN-FORWARD' /tmp/again | grep -c 192.0.2.9
    """
    done = toolroot.run(release, ["sh", "-euc", script], files=installed_files(gateway_document()))
    assert (done.returncode, done.stdout.split()) == (0, ["2", "1"]), done.stdout + done.stderr


def test_without_any_policy_nothing_private_leaves_and_the_internet_is_masqueraded(release: str) -> None:
    act = """
said["tunnel"] = heard("outside", lambda: ping("inside", HOST, "172.31.200.200"))
said["own"] = heard("outside", lambda: ping("gateway", GATEWAY, "172.31.200.200"))
said["internet"] = heard("outside", lambda: ping("inside", HOST, ELSEWHERE))
"""
    assert see(release, act) == {"tunnel": [], "own": [], "internet": ["192.0.2.1 > 192.0.2.2 icmp 8/0"]}


def test_the_articles_two_rules_alone_leak_which_this_test_would_see(release: str) -> None:
    rules = """
        iptables -t nat -A POSTROUTING -o outside -s 10.1.0.0/16 -d 172.31.0.0/16 -j ACCEPT
        iptables -t nat -A POSTROUTING -o outside -s 10.1.0.0/16 -j MASQUERADE
    """
    act = 'said["tunnel"] = heard("outside", lambda: ping("inside", HOST, "172.31.200.200"))'
    assert see(release, act, rules=rules) == {"tunnel": ["10.1.1.5 > 172.31.200.200 icmp 8/0"]}


def test_plain_text_that_says_it_comes_from_the_other_side_reaches_nobody(release: str) -> None:
    act = """
for name, source, target in (
    ("host", "172.31.200.200", HOST), ("gateway", "172.31.200.200", GATEWAY), ("the same honestly", ELSEWHERE, HOST)
):
    said[name] = ping("outside", source, target)
"""
    assert see(release, act) == {"host": 0, "gateway": 0, "the same honestly": 2}


def test_no_private_host_takes_the_ports_of_ike_towards_a_peer(release: str) -> None:
    act = """
for port in (500, 4500):
    daemon = server("gateway", socket.SOCK_DGRAM, port)
    thief = server("inside", socket.SOCK_DGRAM, port)

    def begin():
        thief.sendto(b"x", (PEER, port))
        thief.sendto(b"x", (ELSEWHERE, port + 1))

    said[f"private host, {port}"] = heard("outside", begin)
    said[f"gateway, {port}"] = heard("outside", lambda: daemon.sendto(b"x", (PEER, port)))
    send("outside", (PEER, port), OUTSIDE)
    said[f"answered, {port}"] = [got(daemon), got(thief)]
"""
    said = see(release, act)
    for port in (500, 4500):
        # To others it may talk from these ports: the kernel knows those connections apart.
        assert said[f"private host, {port}"] == [f"192.0.2.1:{port} > 192.0.2.2:{port + 1}"]
        assert said[f"gateway, {port}"] == [f"192.0.2.1:{port} > 198.51.100.20:{port}"]
        assert said[f"answered, {port}"] == ["198.51.100.20", ""]


def test_a_gateway_answers_administrators_peers_and_echoes_alone(release: str) -> None:
    act = """
ssh, other = (server("gateway", socket.SOCK_STREAM, port) for port in (22, 9100))
ike, nat, log = (server("gateway", socket.SOCK_DGRAM, port) for port in (500, 4500, 514))
web = server("inside", socket.SOCK_STREAM, 80)
callers = ("inside", HOST, GATEWAY), ("inside", "10.1.1.6", GATEWAY), ("outside", ELSEWHERE, OUTSIDE)
said["ssh"] = [call(*caller, 22) for caller in callers]
said["another port"] = [call("inside", HOST, GATEWAY, 9100), call("inside", "10.1.1.6", GATEWAY, 9100)]
for name, daemon, port in ("ike", ike, 500), ("nat", nat, 4500):
    for place, source, target in ("inside", HOST, GATEWAY), ("outside", ELSEWHERE, OUTSIDE), ("outside", PEER, OUTSIDE):
        send(place, (source, 4501), target, port)
    said[name] = [got(daemon), got(daemon)]
send("inside", (HOST, 4501), GATEWAY, 514)
said["log"] = got(log)
bare = header(50, 8) + socket.inet_aton(HOST) + socket.inet_aton(GATEWAY) + bytes(8)
said["esp"] = heard("inside", lambda: put("inside", bare))
said["echoes"] = [ping("inside", HOST, GATEWAY), ping("outside", ELSEWHERE, OUTSIDE)]
to = (GATEWAY, HOST, 80), ("127.0.0.1", "127.0.0.1", 9100), (GATEWAY, GATEWAY, 9100)
said["its own way"] = [call("gateway", *each) for each in to]
"""
    document = replace(gateway_document(), administrator_cidr_blocks=("10.1.1.6/32",))
    assert see(release, act, document) == {
        # From outside both networks it is the security group that says who.
        "ssh": ["EHOSTUNREACH", "open", "open"],
        "another port": ["EHOSTUNREACH", "EHOSTUNREACH"],
        "ike": ["198.51.100.20", ""],
        "nat": ["198.51.100.20", ""],
        "log": "",
        # Communication administratively prohibited (RFC 1812, 5.2.7.1).
        "esp": ["10.1.1.254 > 10.1.1.5 icmp 3/13"],
        "echoes": [2, 2],
        "its own way": ["open", "open", "open"],
    }


def test_what_belongs_to_no_connection_does_not_leave_untranslated(release: str) -> None:
    act = """
FIN, SYN, RST, ACK = 1, 2, 4, 16
for flags in RST, RST | ACK, FIN | ACK, SYN | ACK, FIN | RST, SYN:
    said[flags] = heard("outside", lambda: put("inside", segment(HOST, ELSEWHERE, flags)))
said["a stranger's"] = heard("outside", lambda: put("inside", segment("10.77.0.9", ELSEWHERE, SYN)))
"""
    said = see(release, act)
    assert said.pop("2") == ["192.0.2.1:40002 > 192.0.2.2:80"]
    assert said == {key: [] for key in said}
    assert len(said) == 6


def test_private_destinations_in_neither_network_are_refused_at_once_not_masqueraded(release: str) -> None:
    neither = ("10.99.0.1", "172.20.0.1", "192.168.3.4", "100.64.1.1", "169.254.3.4")
    act = f"""
for target in {neither}:
    answers = []
    said[target] = heard("outside", lambda: answers.append(call("inside", HOST, target, 80))) + answers
said["excluded"] = heard("outside", lambda: answers.append(call("inside", HOST, "172.31.200.200", 80))) + answers[1:]
said["site's own"] = [each.split(":")[0] for each in heard("outside", lambda: call("inside", HOST, "10.5.0.9", 80))]
said["back"] = ping("outside", "10.5.0.9", HOST)
said["public"] = call("inside", HOST, ELSEWHERE, 80)
"""
    excluding = with_networks(gateway_document(), local=(SITE, "10.5.0.0/16"), remote=("172.31.0.0/17",))
    assert see(release, act, excluding) == {
        **{target: ["EHOSTUNREACH"] for target in neither},
        "excluded": ["EHOSTUNREACH"],
        "site's own": ["10.1.1.5"],
        "back": 2,
        "public": "ECONNREFUSED",
    }


UNIT = """
of() { sed -n "s/^$1=//p" /etc/systemd/system/vpn-filter.service; }
start() {
    if $(of ExecStart) >&2 && $(of ExecStartPost); then echo started; else $(of ExecStopPost); echo failed; fi
    cat /proc/sys/net/ipv4/ip_forward
}
cat >/tmp/look.py <<'END'
import sys
sys.path[:0] = ["/usr/local/lib/vpn-verify", "/usr/local/lib/vpn-gateway"]
from vpn_verify.layer import LayerError
from vpn_verify.machine import read, run
from vpn_verify.packet_filter import RULES, tables
for layer, names in ("packet_filter", ("filter", "mangle", "raw")), ("nat", ("nat",)):
    try:
        print(layer, tables(read(RULES), run("iptables-save"), names))
    except LayerError as error:
        print(layer, "failed", error.args[0])
END
rules=/etc/vpn-gateway/filter.rules
"""
"""What systemd does with the unit (systemd.service(5)), and what vpn-verify then says."""

DAMAGES: Mapping[str, str] = {
    "missing": "rm $rules",
    "empty": ": >$rules",
    "zeroed": "head -c 2000 /dev/zero >$rules",
    "cut off after its first table": "sed -i '/^COMMIT/q' $rules",
    "cut off in its first table": "head -c 700 $rules >/tmp/cut; cp /tmp/cut $rules",
    "cut off in its last table": "sed -i '/^.mangle/q' $rules",
    "cut off before its last line": "sed -i '$d' $rules",
}


def test_without_the_whole_rules_file_nothing_is_forwarded_and_vpn_verify_says_why(release: str) -> None:
    script = f"{UNIT}cp $rules /tmp/whole\ncat /proc/sys/net/ipv4/ip_forward\n"
    flush = "for table in filter nat mangle; do iptables -t $table -F; iptables -t $table -X; done"
    for damage in DAMAGES.values():
        script += f"{flush}\ncp /tmp/whole $rules; {damage}\nstart; python3 /tmp/look.py\n"
    script += f"{flush}\ncp /tmp/whole $rules; start; python3 /tmp/look.py\n"
    done = toolroot.run(release, ["sh", "-uc", script], files=installed_files(gateway_document()))
    at_boot, *lines = done.stdout.splitlines()
    seen = [lines[at : at + 4] for at in range(0, len(lines), 4)]
    assert at_boot == "0", done.stderr
    broken = "failed /etc/vpn-gateway/filter.rules is not whole: nothing is forwarded"
    refused = ["failed", "0", f"packet_filter {broken}", f"nat {broken}"]
    assert dict(zip(DAMAGES, seen, strict=False)) == dict.fromkeys(DAMAGES, refused), done.stderr
    whole = seen[len(DAMAGES)]
    assert whole[:2] == ["started", "1"]
    assert not any("failed" in line for line in whole)
