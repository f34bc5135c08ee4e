"""A real pluto in a tool root, or two that talk to each other: what comes out is Libreswan's own word.

They run in network namespaces on the host's kernel, which need not know ESP: IKE does without, up to the Child SA.
"""

import subprocess
from collections.abc import Mapping

from lab.machines import toolroot
from tests.unit.gateway_documents import PPK, PSK, GatewayDocument, gateway_document, installed_files

START = """
start_pluto() {
    rm -f /etc/resolv.conf; : >/etc/resolv.conf
    ipsec checknss >/dev/null
    /usr/libexec/ipsec/pluto --config /etc/ipsec.conf --nofork --stderrlog >/run/pluto.log 2>&1 &
    pluto=$!
    until grep -q 'loading secrets from "/etc/ipsec.d' /run/pluto.log; do kill -0 $pluto; sleep 0.1; done
}
"""
"""Shell function: /run/pluto.log grows, and addconn loads /etc/ipsec.conf when pluto listens."""


def files(document: GatewayDocument, psk: str = PSK) -> dict[str, str]:
    """Return what a gateway with this user data has in its file system, with its secret."""
    (connection,) = document.connections
    ids = f"{document.local.public_ip} {connection.peer.public_ip}"
    secret = f'{ids} : PSK "{psk}"\n{ids} : PPKS "vpn" "{PPK}"\n'
    return installed_files(document) | {f"/etc/ipsec.d/{connection.name}.secrets": secret}


def run(
    release: str, script: str, document: GatewayDocument | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may say `start_pluto`, on a gateway whose interface `ens5` leads to `$peer`'s `eth0`.

    `$peer` is the process id of a namespace with the peer's public address.
    """
    document = document or gateway_document()
    network = f"""
        ip link set lo up
        unshare --net sleep infinity &
        peer=$!
        until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
        ip link add ens5 type veth peer name eth0 netns $peer
        ip addr add {document.local.private_ip}/24 dev ens5; ip link set ens5 up
        ip route add default dev ens5
        at_peer() {{ nsenter --net=/proc/$peer/ns/net "$@"; }}
        at_peer ip addr add {document.connections[0].peer.public_ip}/32 dev eth0; at_peer ip link set eth0 up
        at_peer ip route add default dev eth0
    """
    content = files(document) | dict(more or {})
    return toolroot.run(release, ["sh", "-euc", network + START + script], files=content)
