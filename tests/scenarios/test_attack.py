"""The gateway under load and attack: one host with more connections than the table holds, and who may ask it what.

Proves that the tunnel loses nothing meanwhile, that `vpn-verify` names the table, and that strangers get no answer.
Does not prove AWS's own fences, which the lab emulates.
"""

import json
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import boto3
import pytest
from botocore.exceptions import ClientError

from lab import hosts, settings
from lab.network.sockets import call_in
from tests.scenarios.crowd import crowd, room
from tests.scenarios.diagnosis import answers
from tests.scenarios.operations import on_gateway
from tests.scenarios.sites import Pair, Site

pytestmark = pytest.mark.timeout(300)

_SIZE = 1000
"""Connections that the table is made to hold, so that ten times as many are few enough for an emulated gateway."""

_MORE = 9 * _SIZE
_RATE = 1500
_PINGS = 15
_SILENCE_SECONDS = 2.0

IKE = bytes(range(1, 9)) + bytes.fromhex("0000000000000000 00 30 22 08 00000000 0000001c")
"""What an IKE daemon answers to anybody (userdata/gateway/usr/local/lib/vpn-gateway/ike_probe.py)."""


@contextmanager
def small_table(site: Site) -> Iterator[None]:
    """Let the gateway's table of connections hold no more than _SIZE while the block runs."""
    try:
        on_gateway(site, f"sysctl -qw net.netfilter.nf_conntrack_max={_SIZE}")
        yield
    finally:
        on_gateway(site, "systemctl restart vpn-sysctl")


def lost(site: Site, to: Site) -> int:
    """Return how many pings through the tunnel are lost; each is a flow that no table has seen."""
    command = ["ping", "-nqc1", "-W2", to.private_ip]
    return sum(hosts.run(site.private_host, command).returncode != 0 for _ in range(_PINGS))


def greets_from_outside(site: Site) -> bool:
    """Say whether an administrator may begin to log in."""
    with socket.create_connection((site.public_ip, 22), timeout=5) as link:
        return link.recv(4) == b"SSH-"


@pytest.mark.brief
def test_the_tunnel_loses_nothing_while_one_host_opens_ten_times_what_the_table_holds(pair: Pair) -> None:
    with small_table(pair.uk), crowd(pair.uk, kept=_SIZE + 100, more=_MORE, rate=_RATE) as opened:
        (stand,) = opened.hear("open")
        # The pair's other connections are in the table as well: more of them on a busy machine.
        assert int(stand) > 0.5 * _SIZE
        assert [lost(site, pair.other(site)) for site in pair.sites] == [0, 0]
        said = answers.ask(site.gateway for site in pair.sites)
        assert greets_from_outside(pair.uk)
        assert opened.hear("sent") == [str(_MORE)]
    uk, au = (said[site.gateway] for site in pair.sites)
    assert au.diagnosis == "ok"
    assert {layer.name: layer.status for layer in uk.layers if layer.status != "ok"} == {
        "conntrack": "failed",
        "internet": "skipped",
    }
    assert uk.failed
    seen = re.fullmatch(
        rf"the table is full: (\d+) of {_SIZE} connections, (\d+) of them from {re.escape(pair.uk.private_ip)}",
        uk.failed.evidence,
    )
    assert seen, uk.diagnosis
    assert int(seen[1]) >= 0.95 * _SIZE
    assert int(seen[2]) > 0.5 * _SIZE
    assert answers.ask([pair.uk.gateway], wait=30)[pair.uk.gateway].diagnosis == "ok"


def answering(kind: int, address: str, ports: Iterable[int]) -> set[int]:
    """Return the ports of an address that answer a connection (`SOCK_STREAM`) or a datagram, a refusal included."""
    with ExitStack() as stack:
        links = {port: stack.enter_context(socket.socket(socket.AF_INET, kind)) for port in ports}
        for port, link in links.items():
            link.setblocking(False)
            link.connect_ex((address, port))
            if kind == socket.SOCK_DGRAM:
                link.send(IKE)
        time.sleep(_SILENCE_SECONDS)
        return {port for port, link in links.items() if _was_answered(link, kind)}


def _was_answered(link: socket.socket, kind: int) -> bool:
    try:
        link.recv(99) if kind == socket.SOCK_DGRAM else link.getpeername()
    except BlockingIOError:
        return False
    except OSError:
        # An error that came back is an answer; none at all is a connection that is still on its way.
        return kind == socket.SOCK_DGRAM or link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    return True


def listened_to(site: Site, kind: str) -> list[int]:
    """Return the ports that something on the gateway listens on."""
    lines = on_gateway(site, f"ss -Hln{kind} | awk '{{print $4}}'").split()
    return sorted({int(line.rpartition(":")[2]) for line in lines})


def test_from_outside_a_gateway_answers_administrators_by_ssh_and_strangers_not_at_all(pair: Pair) -> None:
    room(2048)
    for site in pair.sites:
        tcp, udp = (sorted({*range(1, 1025), 4500, *listened_to(site, kind)}) for kind in "tu")
        ask = partial(answering, address=site.public_ip)
        assert (ask(socket.SOCK_STREAM, ports=tcp), ask(socket.SOCK_DGRAM, ports=udp)) == ({22}, set())
        stranger = [
            call_in(settings.INTERNET_NAMESPACE, partial(ask, kind, ports=ports))
            for kind, ports in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp))
        ]
        assert stranger == [set(), set()]


CREDENTIALS = """
import sys
sys.path.append("/usr/local/lib/vpn-gateway")
from metadata import ask
token = ask("api/token")[1]
roles = "meta-data/iam/security-credentials/"
print(ask(roles + ask(roles, token)[1].strip(), token)[1])
"""


def test_a_gateways_credentials_are_of_no_use_elsewhere(pair: Pair) -> None:
    stolen = json.loads(on_gateway(pair.uk, "python3 -", stdin=CREDENTIALS))
    parameters = json.loads(on_gateway(pair.uk, "cat /etc/vpn-gateway/secrets.json"))["ssm"]
    ssm = boto3.session.Session(
        aws_access_key_id=stolen["AccessKeyId"],
        aws_secret_access_key=stolen["SecretAccessKey"],
        aws_session_token=stolen["Token"],
        region_name=pair.uk.region,
    ).client("ssm", endpoint_url=settings.API_URL)
    for what in ("psk", "host_key"):
        with pytest.raises(ClientError, match="AccessDenied"):
            ssm.get_parameter(Name=parameters[what], WithDecryption=True)
    assert "keeping" not in on_gateway(pair.uk, "vpn-secrets")


STRAY = bytes.fromhex("0badcafe") + bytes(44)
"""ESP (RFC 4303) of an SA that nobody has: SPI, sequence number, and what would be encrypted."""

FROM_PEER = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
    for _ in range({_PINGS}):
        link.sendto(bytes.fromhex("{STRAY.hex()}"), ("ADDRESS", 4500))
"""


def strays(site: Site) -> int:
    """Return how many packets for SAs that are not here the gateway's kernel has counted, which vpn-watch acts on."""
    return int(on_gateway(site, "awk '/^XfrmInNoStates/ {print $2}' /proc/net/xfrm_stat"))


def test_strays_from_inside_a_network_do_not_reach_what_the_watch_counts(pair: Pair) -> None:
    def send() -> None:
        for kind, protocol, port in ((socket.SOCK_DGRAM, 0, 4500), (socket.SOCK_RAW, 50, 0)):
            with socket.socket(socket.AF_INET, kind, protocol) as link:
                for address in (site.gateway_ip, other.gateway_ip):
                    # The gateway may say that this is prohibited.
                    with suppress(OSError):
                        link.sendto(STRAY, (address, port))

    for site in pair.sites:
        other = pair.other(site)
        before = strays(site), strays(other)
        for _ in range(_PINGS):
            call_in(site.private_host_namespace, send)
        assert (strays(site), strays(other)) == before
        on_gateway(other, "python3 -", stdin=FROM_PEER.replace("ADDRESS", site.public_ip))
        assert strays(site) >= before[0] + _PINGS
