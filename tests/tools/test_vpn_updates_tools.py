"""vpn-updates on a root of each Debian release, with real echoes and probes to a peer in another network namespace.

The peer has no tunnel: its kernel answers the echoes, and a program that repeats each datagram stands for its IKE
daemon. Nothing upgrades and nothing reboots.
"""

import json

from components.user_data import update_files
from tests.tools import pluto

ALWAYS = {"/etc/vpn-gateway/updates.json": '{"begin": "00:00", "end": "24:00"}'}
RECORD = "/var/lib/vpn-gateway/updates.json"

DAEMON = """\
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
    daemon.bind(("198.51.100.20", int(sys.argv[1])))
    while True:
        data, sender = daemon.recvfrom(999)
        daemon.sendto(data, sender)
"""

SCRIPT = f"""
    exec 2>&1
    mkdir -p /var/lib/vpn-gateway
    ask() {{ echo "== $1"; vpn-updates --may-upgrade || echo "exit code $?"; cat {RECORD} 2>/dev/null || true; }}
    ask not-installed
    touch /usr/bin/unattended-upgrade
    ask no-tunnel
    at_peer ip addr add 172.31.12.198/32 dev eth0
    ask no-daemon
    for port in 500 4500; do at_peer python3 /daemon.py $port & done
    for port in 01F4 1194; do until at_peer grep -q ":$port " /proc/net/udp; do sleep 0.1; done; done
    ask well
    echo "== finished"; vpn-updates --finish; cat {RECORD}
"""


def test_an_upgrade_may_begin_only_while_the_peer_answers_echoes_and_probes(release: str) -> None:
    files = {file.path: file.text for file in update_files("02:00")} | ALWAYS | {"/daemon.py": DAEMON}
    done = pluto.run(release, SCRIPT, more=files)
    parts = {head: lines for head, *lines in (part.splitlines() for part in done.stdout.split("== ")[1:])}
    said = {name: lines[0] for name, lines in parts.items()}
    assert said == {
        "not-installed": "upgrade: held: unattended-upgrades is not installed",
        "no-tunnel": "upgrade: held: uk-to-au has no Child SA",
        "no-daemon": "upgrade: held: the IKE daemon of 198.51.100.20 does not answer on UDP port 500",
        "well": "upgrade: upgrade",
        "finished": "restart: nothing: no update needs it",
    }, done.stdout
    assert [name for name, lines in parts.items() if "exit code 1" in lines] == [
        "not-installed",
        "no-tunnel",
        "no-daemon",
    ]
    assert json.loads(parts["well"][-1])["upgrade"]["action"] == "upgrade"
    assert json.loads(parts["finished"][-1])["restart"]["action"] == "nothing"
