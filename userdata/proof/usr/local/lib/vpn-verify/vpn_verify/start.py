"""What takes a while, started at the beginning of a look; each result is waited for where it is needed."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from expectations import Gateway
from ike_probe import probe
from pluto import whack
from vpn_verify import machine, tunnel_layers
from vpn_verify.layer import LayerError

CONNTRACK = "/proc/sys/net/netfilter/nf_conntrack"

PROBE_SECONDS = 2

_threads = ThreadPoolExecutor(16)


class Start(NamedTuple):
    """Results to come, the same for all layers of a look."""

    metadata: Future[tuple[str, str | None]]
    internet: Future[None]
    rules: Future[str]
    connections: Future[str]
    status: Future[str]
    probes: Mapping[str, Mapping[int, Future[str]]]
    """A peer's public address -> port -> what the probe of it returns."""


def start(gateway: Gateway, *, own: bool = False) -> Start:
    """Start everything; with `own`, only what sends nothing to anybody."""
    begin = _threads.submit
    return Start(
        metadata=_not_asked() if own else begin(machine.date_and_public_address),
        internet=_not_asked() if own else begin(machine.open_tcp, gateway.internet_host, gateway.internet_port),
        rules=begin(machine.run, "iptables-save"),
        connections=begin(machine.read, f"{CONNTRACK}_count"),
        status=begin(_status),
        probes={
            peer.public_ip: {port: begin(probe, peer.public_ip, port, PROBE_SECONDS) for port in (500, 4500)}
            for peer in gateway.peers
            if not own
        },
    )


def _not_asked() -> Future[Any]:
    """Return a result that fails the layer that uses it."""
    future = Future[Any]()
    future.set_exception(LayerError("not asked with --own"))
    return future


def _status() -> str:
    return whack("--status", seconds=tunnel_layers.SECONDS) or ""
