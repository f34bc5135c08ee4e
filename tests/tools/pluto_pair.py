"""Two real plutos of a release that negotiate with each other. The second one has its own network namespace.

The first is the gateway at uk, with vpn-verify, and has the usual paths. The second is the gateway at au; what it reads
and writes is below /au. Without the kernel's ESP they get as far as the IKE SA: the Child SA fails.
"""

import subprocess
from collections.abc import Mapping

from components.decisions.tunnel import End, TunnelProfile
from components.user_data import key_files
from lab.machines import toolroot
from tests.unit.gateway_documents import AU, PPK, PSK, UK, gateway_document, installed_files

CONF, KEY_CONF = "/etc/ipsec.d/vpn.conf", "/etc/ipsec.d/vpn-key.conf"
SECRET = "/etc/ipsec.d/uk-to-au.secrets"  # noqa: S105 - a path

START = f"""
    exec 2>&1
    rm -f /etc/resolv.conf; : >/etc/resolv.conf
    unshare --net sleep infinity & peer=$!
    until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    at_au() {{ nsenter --net=/proc/$peer/ns/net "$@"; }}
    uk_whack() {{ /usr/libexec/ipsec/whack "$@"; }}
    au_whack() {{ at_au /usr/libexec/ipsec/whack --ctlsocket /run/au/pluto.ctl "$@"; }}
    ip link add ens5 type veth peer name ens5 netns $peer
    link() {{
        $1 ip link set lo up; $1 ip addr add $2/32 dev ens5; $1 ip link set ens5 up
        $1 ip route add default via $3 dev ens5 onlink
    }}
    link env {UK.public_ip} {AU.public_ip}; link at_au {AU.public_ip} {UK.public_ip}
    ipsec checknss >/dev/null; cp -a /var/lib/ipsec/nss /au/nss; mkdir -p /run/au
    pluto=/usr/libexec/ipsec/pluto
    $pluto --config /etc/ipsec.conf --nofork --stderrlog >/run/uk.log 2>&1 & uk=$!
    at_au $pluto --config /au/ipsec.conf --rundir /run/au --secretsfile /au/ipsec.secrets --nssdir /au/nss \\
        --nofork --stderrlog >/run/au.log 2>&1 & au=$!
    until uk_whack --status | grep -q '"uk-to-au"' && uk_whack --status | grep -q '"key/uk-to-au"'; do sleep 0.1; done
    until au_whack --status >/dev/null; do sleep 0.1; done
    at_au /usr/libexec/ipsec/addconn --ctlsocket /run/au/pluto.ctl --config /au/ipsec.conf --autoall >/dev/null
    until grep -q 'loading secrets from "/etc/ipsec.d' /run/uk.log; do sleep 0.1; done
    sleep 1
"""


def secret(psk: str = PSK, ppk: str = PPK, *, names: bool = True) -> str:
    """Return the secrets file of both gateways; without `names`, for the tunnel alone as release 0.1.0 wrote it."""
    addresses = (UK.public_ip, AU.public_ip)
    ids = " ".join([*addresses, *(f"@key.{each}" for each in addresses if names)])
    return f'{ids} : PSK "{psk}"\n{ids} : PPKS "vpn" "{ppk}"\n'


def key_conf(local: End, peer: End) -> str:
    """Return the file by which the gateway at `local` proves the key."""
    (file,) = key_files(
        local.site, local.public_ip, {peer.site: peer.public_ip}, TunnelProfile.MODERN, postquantum=True
    )
    return file.text


def run(release: str, script: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may say `uk_whack` and `au_whack`; `/run/uk.log` and `/run/au.log` grow.

    What is printed after its last line is not of the script: a thread of 4.10 sometimes crashes when pluto ends, on a
    lock that is gone, and the shell says so.
    """
    there = installed_files(gateway_document(AU, UK))
    files = installed_files(gateway_document(UK, AU)) | {
        KEY_CONF: key_conf(UK, AU),
        SECRET: secret(),
        "/au/ipsec.conf": f"{there[CONF]}\n{key_conf(AU, UK)}",
        "/au/ipsec.secrets": secret(),
    }
    return toolroot.run(
        release,
        ["sh", "-euc", f"{START}{script}\nexec >/dev/null 2>&1; kill $uk $au; wait $uk || true"],
        files=files | dict(more or {}),
    )
