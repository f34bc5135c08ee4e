"""The layers in order: what each needs, what it is called with, and what to do when it fails."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import ipsec_conf
from expectations import Gateway, Peer
from vpn_verify import configuration, floor, gateway_layers, key, metrics, packet_filter, tunnel_layers, updates
from vpn_verify.connections import pairs_of
from vpn_verify.layer import IkeSa, Ping
from vpn_verify.machine import file, modified, older, read, run, source
from vpn_verify.start import CONNTRACK, Start

FINISHED = "/run/cloud-init/result.json"
"""Written when cloud-init has done all of a boot, with or without success."""


BOOT = "/var/lib/vpn-gateway/boot"
"""How far the first boot has come. It installs the newest packages that the mirror has, and then writes this."""


class Look(NamedTuple):
    """What the layers of the gateway are called with."""

    gateway: Gateway
    start: Start
    revision: str = ""
    """What must be deployed; empty: any."""


class TunnelLook(NamedTuple):
    """What the layers of one tunnel are called with."""

    gateway: Gateway
    start: Start
    peer: Peer
    needed: Mapping[str, Any]
    """Name of a layer of the same tunnel, one that the layer needs -> what it returned."""

    @property
    def ends(self) -> tuple[str, str]:
        """Private addresses of both gateways; that of the peer is empty if it is unknown."""
        return self.gateway.address, self.peer.private_ip

    @property
    def secrets(self) -> str:
        """Path of the file with the pre-shared keys."""
        return f"/etc/ipsec.d/{self.peer.connection}.secrets"

    @property
    def postquantum(self) -> bool:
        """Whether the tunnel must use a postquantum pre-shared key (PPK, RFC 8784)."""
        keywords = ipsec_conf.parse(read(ipsec_conf.PATH)).connections.get(self.peer.connection, {})
        return keywords.get("ppk") == "insist"

    @property
    def pairs(self) -> Mapping[str, tuple[str, str]]:
        """Name of each connection to the peer -> its local and remote range."""
        local, remote = self.gateway.local_cidr_blocks.split(","), self.peer.cidr_blocks.split(",")
        return pairs_of(self.peer.connection, self.ends, local, remote)


class GatewayLayer(NamedTuple):
    """A layer of the gateway itself, which is asked once."""

    name: str
    needs: str
    look: Callable[[Look], str]
    remedy: str
    own: bool = False
    """Whether it looks at this gateway alone, and sends nothing to anybody."""


class TunnelLayer(NamedTuple):
    """A layer of a tunnel, which is asked for every peer."""

    name: str
    needs: str
    look: Callable[[TunnelLook], str | IkeSa | Ping]
    remedy: str
    echoes: bool = False
    """Whether it sends echoes. A tunnel to a peer whose private address is unknown has no such layer."""
    own: bool = False
    """The same as of a layer of the gateway."""


LAYERS = (
    GatewayLayer(
        "boot",
        "",
        lambda _: gateway_layers.boot(
            lambda: read(BOOT),
            read("/var/log/vpn-boot.log"),
            read(FINISHED),
            lambda: bool(run("pidof -x vpn-boot")),
        ),
        "read /var/log/vpn-boot.log and cloud-init status --long; remove the cause, then: sudo vpn-boot",
    ),
    GatewayLayer(
        "clock",
        "",
        lambda look: gateway_layers.clock(look.start.metadata.result()[0], time.time()),
        "sudo systemctl restart chrony or systemd-timesyncd; timedatectl",
    ),
    GatewayLayer(
        "packet_filter",
        "boot",
        lambda look: packet_filter.tables(
            read(packet_filter.RULES), look.start.rules.result(), ("filter", "mangle", "raw")
        ),
        "sudo systemctl reload-or-restart vpn-filter",
        own=True,
    ),
    GatewayLayer(
        "nat",
        "boot",
        lambda look: packet_filter.tables(read(packet_filter.RULES), look.start.rules.result(), ("nat",)),
        "the exemption must come before MASQUERADE: sudo systemctl reload-or-restart vpn-filter",
        own=True,
    ),
    GatewayLayer(
        "sysctl",
        "boot",
        lambda _: gateway_layers.sysctl(read("/proc/net/route"), lambda key: read(f"/proc/sys/net/ipv4/{key}")),
        "sudo systemctl restart vpn-filter vpn-sysctl",
        own=True,
    ),
    GatewayLayer(
        "conntrack",
        "",
        lambda look: gateway_layers.conntrack(
            int(look.start.connections.result() or 0),
            int(read(f"{CONNTRACK}_max") or 0),
            lambda: read("/proc/net/nf_conntrack"),
        ),
        "what opens so many connections? Stop it, or take an instance_type with more memory",
        own=True,
    ),
    TunnelLayer(
        "secrets",
        "boot",
        lambda tunnel: tunnel_layers.secrets(
            tunnel.secrets, tunnel.gateway.local_id, tunnel.peer.public_ip, postquantum=tunnel.postquantum
        ),
        "sudo vpn-secrets --fresh; sudo systemctl restart ipsec",
        own=True,
    ),
    GatewayLayer(
        "daemon",
        "secrets",
        lambda look: gateway_layers.daemon(look.start.status.result(), lambda: run("systemctl is-active ipsec")),
        "journalctl -u ipsec; sudo systemctl restart ipsec",
        own=True,
    ),
    TunnelLayer(
        "connection",
        "daemon",
        lambda tunnel: tunnel_layers.connection(tunnel.pairs, tunnel.start.status.result()),
        "journalctl -u ipsec; sudo systemctl restart ipsec",
        own=True,
    ),
    TunnelLayer(
        "address",
        "",
        lambda tunnel: tunnel_layers.address(
            source(tunnel.peer.public_ip),
            tunnel.start.metadata.result()[1],
            expected=tunnel.gateway.address,
            local_id=tunnel.gateway.local_id,
            public_ip=tunnel.peer.public_ip,
        ),
        "associate the Elastic IP with the gateway's network interface: pulumi up --refresh",
    ),
    TunnelLayer(
        "peer",
        "address",
        lambda tunnel: tunnel_layers.peer(
            tunnel.peer.public_ip,
            tunnel.gateway.local_id,
            {port: answer.result() for port, answer in tunnel.start.probes[tunnel.peer.public_ip].items()},
        ),
        "",
    ),
    TunnelLayer(
        "ike",
        "connection peer",
        lambda tunnel: tunnel_layers.ike(
            tunnel.peer.connection,
            tunnel.peer.public_ip,
            f"IKEv{tunnel.peer.ike_version} {tunnel.peer.ike_algorithm}",
            tunnel.start.status.result(),
            tunnel.ends,
            postquantum=tunnel.postquantum,
        ),
        "make both sides alike: pulumi up; on both: sudo vpn-secrets --fresh; sudo systemctl restart ipsec",
    ),
    TunnelLayer(
        "key",
        "ike",
        lambda tunnel: key.key(
            tunnel.peer.connection,
            tunnel.peer.public_ip,
            ike_version=tunnel.peer.ike_version,
            secret=read(tunnel.secrets),
            status=tunnel.start.status.result(),
            postquantum=tunnel.postquantum,
        ),
        "do both sides name the same key, in the layer secrets? pulumi up; on both: sudo vpn-secrets --fresh && "
        "sudo ipsec whack --rereadsecrets",
    ),
    TunnelLayer(
        "policy",
        "ike",
        lambda tunnel: tunnel_layers.policy(
            tunnel.peer.connection,
            tunnel.peer.public_ip,
            pairs=tunnel.pairs,
            esp_algorithm=tunnel.peer.esp_algorithm,
            status=tunnel.needed["ike"].status,
        ),
        "are networks and profile the same on both sides? sudo systemctl restart ipsec",
    ),
    TunnelLayer(
        "ping",
        "policy packet_filter",
        lambda tunnel: tunnel_layers.ping(tunnel.peer.connection, tunnel.ends),
        "run vpn-verify on the peer; is UDP 4500 open both ways?",
        echoes=True,
    ),
    TunnelLayer(
        "mtu",
        "ping",
        lambda tunnel: tunnel_layers.mtu(tunnel.ends, tunnel.gateway.mtu),
        "what on the path between the gateways drops packets of 1500 bytes: a filter, another tunnel?",
        echoes=True,
    ),
    TunnelLayer(
        "counters",
        "policy ping",
        lambda tunnel: (
            tunnel_layers.counters(tunnel.needed["ping"].growth)
            if tunnel.peer.private_ip
            else tunnel_layers.associations(tunnel.peer.connection, tunnel.pairs)
        ),
        "does another path lead to the peer? ip route",
    ),
    GatewayLayer(
        "internet",
        "address conntrack",
        lambda look: gateway_layers.internet(
            f"{look.gateway.internet_host}:{look.gateway.internet_port}", look.start.internet
        ),
        "look at the public route table, the Internet gateway, the security group's egress and DNS",
    ),
    GatewayLayer(
        "metrics",
        "ping internet",
        lambda _: metrics.metrics(read(metrics.RECORD), time.time()),
        "journalctl -u vpn-metrics; may the role publish? sudo systemctl restart vpn-metrics",
    ),
    GatewayLayer(
        "updates",
        "boot",
        lambda look: updates.updates(
            _libreswan if look.gateway.peers else None, _window if read(updates.PLAN) else None
        ),
        "journalctl -u apt-daily-upgrade -u vpn-updates; ls -l /var/log/unattended-upgrades",
    ),
    # The last one: what a change by hand breaks is named by its own layer first.
    GatewayLayer(
        "configuration",
        "daemon",
        lambda look: configuration.configuration(
            read(configuration.DEPLOYED), look.revision, file, look.start.status.result()
        ),
        "sudo vpn-configure",
        own=True,
    ),
)

NO_PACKET: Final = "192.0.2.1"
"""An address of no host (RFC 5737). Nothing is sent to it: the kernel is asked for the way there."""


_OF_SETTINGS: Final = {"metrics": metrics.SETTINGS, "updates": updates.PLAN}
"""Layer -> the file without which a gateway does not have it. With peers, it always has the layer `updates`."""


def applies(layer: GatewayLayer | TunnelLayer, peer: Peer) -> bool:
    """Return whether the tunnel to a peer has a layer, or the gateway."""
    return isinstance(layer, GatewayLayer) or not layer.echoes or bool(peer.private_ip)


def layers_of(gateway: Gateway, *, own: bool = False) -> Sequence[GatewayLayer | TunnelLayer]:
    """Return the layers that a gateway has: without peers, those of the tunnels and their daemon are left out.

    The layer `address` is then about the way to the Internet. What is not configured is left out as well. With `own`,
    only the layers are returned that look at this gateway alone.
    """
    asked = [each for each in LAYERS if each.own or not own]
    layers = [each for each in asked if each.name not in _OF_SETTINGS or _is_set(each.name, gateway)]
    if gateway.peers:
        return [each for each in layers if any(applies(each, peer) for peer in gateway.peers)]
    return [
        layer if isinstance(layer, GatewayLayer) else GatewayLayer(layer.name, layer.needs, _way_out, layer.remedy)
        for layer in layers
        if layer.name == "address" or (isinstance(layer, GatewayLayer) and layer.name != "daemon")
    ]


def _way_out(look: Look) -> str:
    return tunnel_layers.address(
        source(NO_PACKET),
        look.start.metadata.result()[1],
        expected=look.gateway.address,
        local_id=look.gateway.local_id,
        public_ip=NO_PACKET,
    )


def _is_set(layer: str, gateway: Gateway) -> bool:
    return bool(read(_OF_SETTINGS[layer]) or (layer == "updates" and gateway.peers))


def _libreswan() -> str:
    return floor.libreswan(read(floor.RELEASE), run(floor.PACKAGE), older=older, age=time.time() - modified(BOOT))


def _window() -> str:
    return updates.window(
        read(updates.PLAN),
        read(updates.RECORD),
        modified=modified,
        now=time.time(),
        pending=lambda: run("vpn-updates --pending"),
    )
