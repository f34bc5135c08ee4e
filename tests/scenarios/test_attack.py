"""The gateway under load and attack: a host with more connections than the table holds, and strangers.

Proves that the tunnel loses nothing meanwhile, that `vpn-verify` names the table, and that strangers get no answer.
Does not prove AWS's own checks, which the lab emulates.
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

from lab import settings
from lab.network.sockets import call_in
from tests.scenarios.crowd import crowd, tracked
from tests.scenarios.crowd_endpoint import room
from tests.scenarios.diagnosis import answers
from tests.scenarios.gateway import Gateway, wait_until
from tests.scenarios.sites import Pair, Site

pytestmark = pytest.mark.timeout(1800)

_SIZE = 1000
"""The size of the table, so small that an emulated gateway can take ten times as many connections."""

_FULL = int(0.97 * _SIZE)
_MORE = 9 * _SIZE
_RATE = 1500
_PINGS = 15
_SILENCE_SECONDS = 2.0
_SLACK = 20
"""How many times as long all may take on a busy machine, where no time is judged."""

IKE = bytes(range(1, 9)) + bytes.fromhex("0000000000000000 00 30 22 08 00000000 0000001c")
"""A message that an IKE daemon answers for every sender (userdata/gateway/usr/local/lib/vpn-gateway/ike_probe.py)."""


@contextmanager
def small_table(gateway: Gateway) -> Iterator[None]:
    """Limit the gateway's table of connections to _SIZE while the block runs."""
    try:
        gateway.run(f"sysctl -qw net.netfilter.nf_conntrack_max={_SIZE}")
        yield
    finally:
        gateway.restart("vpn-sysctl")


def lost(site: Site, to: Site, seconds: int) -> int:
    """Return how many pings through the tunnel are not answered within so many seconds. Each is a new flow."""
    command = f"ping -nqc1 -W{seconds} {to.private_host.private_ip}"
    return sum(site.private_host.ask(command).returncode != 0 for _ in range(_PINGS))


@pytest.mark.brief
def test_the_tunnel_loses_nothing_while_one_host_opens_ten_times_what_the_table_holds(
    pair: Pair, judged_by_time: bool
) -> None:
    slack = 1 if judged_by_time else _SLACK
    with small_table(pair.uk.gateway), crowd(pair.uk, kept=_SIZE + 100, more=_MORE, rate=_RATE) as opened:
        (up,) = opened.hear("open")
        # The pair's other connections are in the table as well, more of them on a busy machine.
        assert int(up) > 0.5 * _SIZE
        # The rest comes with the other connections, which an idle machine looks for sooner than they are there.
        wait_until("the table of uk-gateway is full", lambda: tracked(pair.uk.gateway) >= _FULL, 10 * slack)
        assert [lost(site, pair.other(site), 2 * slack) for site in pair.sites] == [0, 0]
        looks = answers.ask(pair.gateways)
        wait_until("uk-gateway answers an administrator", pair.uk.gateway.greets, 5 * slack)
        assert opened.hear("sent") == [str(_MORE)]
    uk, au = (looks[gateway.name] for gateway in pair.gateways)
    assert au.diagnosis == "ok"
    assert {layer.name: layer.status for layer in uk.layers if layer.status != "ok"} == {
        "conntrack": "failed",
        "internet": "skipped",
    }
    assert uk.failed
    host = re.escape(pair.uk.private_host.private_ip)
    seen = re.fullmatch(
        rf"the table is full: (\d+) of {_SIZE} connections, (\d+) of them from {host}", uk.failed.evidence
    )
    assert seen, uk.diagnosis
    assert int(seen[1]) >= 0.95 * _SIZE
    assert int(seen[2]) > 0.5 * _SIZE
    assert answers.ask([pair.uk.gateway], wait=30)[pair.uk.gateway.name].diagnosis == "ok"


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
        # An error is an answer. Without one the connection is still pending.
        return kind == socket.SOCK_DGRAM or link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
    return True


def listened_to(gateway: Gateway, kind: str) -> list[int]:
    """Return the ports that something on the gateway listens on."""
    lines = gateway.run(f"ss -Hln{kind} | awk '{{print $4}}'").split()
    return sorted({int(line.rpartition(":")[2]) for line in lines})


def test_from_outside_a_gateway_answers_administrators_by_ssh_and_strangers_not_at_all(pair: Pair) -> None:
    room(2048)
    for gateway in pair.gateways:
        tcp, udp = (sorted({*range(1, 1025), 4500, *listened_to(gateway, kind)}) for kind in "tu")
        ask = partial(answering, address=gateway.public_ip)
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
    gateway = pair.uk.gateway
    stolen = json.loads(gateway.run("python3 -", stdin=CREDENTIALS))
    parameters = json.loads(gateway.read("/etc/vpn-gateway/secrets.json"))["ssm"]
    ssm = boto3.session.Session(
        aws_access_key_id=stolen["AccessKeyId"],
        aws_secret_access_key=stolen["SecretAccessKey"],
        aws_session_token=stolen["Token"],
        region_name=gateway.region,
    ).client("ssm", endpoint_url=settings.API_URL)
    for what in ("psk", "ppk", "host_key"):
        with pytest.raises(ClientError, match="AccessDenied"):
            ssm.get_parameter(Name=parameters[what], WithDecryption=True)
    # At its own place they are of use.
    gateway.run("vpn-secrets --fresh")


STRAY = bytes.fromhex("0badcafe") + bytes(44)
"""ESP (RFC 4303) of an SA that does not exist: SPI, sequence number, and the encrypted part."""

FROM_PEER = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
    for _ in range({_PINGS}):
        link.sendto(bytes.fromhex("{STRAY.hex()}"), ("ADDRESS", 4500))
"""


def strays(gateway: Gateway) -> int:
    """Return how many packets for unknown SAs the gateway's kernel has counted. vpn-watch acts on this counter."""
    return int(gateway.run("awk '/^XfrmInNoStates/ {print $2}' /proc/net/xfrm_stat"))


def test_strays_from_inside_a_network_do_not_reach_what_the_watch_counts(pair: Pair) -> None:
    def send() -> None:
        for kind, protocol, port in ((socket.SOCK_DGRAM, 0, 4500), (socket.SOCK_RAW, 50, 0)):
            with socket.socket(socket.AF_INET, kind, protocol) as link:
                for address in (near.private_ip, far.private_ip):
                    # The gateway may refuse it with an ICMP message.
                    with suppress(OSError):
                        link.sendto(STRAY, (address, port))

    for site in pair.sites:
        near, far = site.gateway, pair.other(site).gateway
        before = strays(near), strays(far)
        for _ in range(_PINGS):
            call_in(site.private_host.namespace, send)
        assert (strays(near), strays(far)) == before
        far.run("python3 -", stdin=FROM_PEER.replace("ADDRESS", near.public_ip))
        assert strays(near) >= before[0] + _PINGS
