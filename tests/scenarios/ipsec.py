"""IPsec on a gateway: the kernel's SAs and policies, and what the daemon is asked to do."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.scenarios.gateway import Gateway


def security_associations(gateway: Gateway) -> dict[str, list[tuple[str, str, str]]]:
    """Return the kernel's ESP SAs as (source, destination, SPI), by direction: `in` and `out`.

    A state with SPI 0 only says that a packet has triggered a negotiation, and cannot be deleted.
    """
    states: dict[str, list[tuple[str, str, str]]] = {"in": [], "out": []}
    source = to = ""
    for line in gateway.run("ip xfrm state").splitlines():
        words = line.split()
        if words[0] == "src":
            source, to = words[1], words[3]
        elif words[:2] == ["proto", "esp"] and words[3] != "0x00000000":
            states["out" if source == gateway.private_ip else "in"].append((source, to, words[3]))
    return states


def pre_shared_keys(gateway: Gateway) -> Mapping[str, str]:
    """Return the keys of a gateway's secrets file, by their words in ipsec.secrets(5): `PSK`, and `PPKS` if it has one.

    They are never printed.
    """
    found = re.findall(r'(PSK|PPKS)(?: "vpn")? "([^"]+)"$', gateway.read(gateway.secrets_file), re.MULTILINE)
    if "PSK" not in dict(found):
        raise LookupError(f"{gateway.name} has no pre-shared key for {gateway.connection}")
    return dict(found)


def rekey(gateway: Gateway, what: str) -> None:
    """Rekey the `ike` or the `child` SA from this gateway, at once (Libreswan 4.x calls the second one `ipsec`)."""
    command = f"ipsec whack --rekey-{what} --name {gateway.connection}"
    older = f"ipsec whack --rekey-ipsec --name {gateway.connection}"
    gateway.run(f"{command} || {older}" if what == "child" else command)


def initiate(gateway: Gateway) -> str:
    """Return the command that negotiates with the peer and does not wait."""
    return f"ipsec whack --initiate --asynchronous --name {gateway.connection}"


@contextmanager
def without_tunnel(gateway: Gateway) -> Iterator[None]:
    """Remove daemon, watch, policies and SAs while the block runs. The packet filter stays."""
    gateway.run("systemctl stop vpn-watch ipsec; ip xfrm policy flush; ip xfrm state flush")
    try:
        yield
    finally:
        gateway.run("systemctl start ipsec vpn-watch")


def dropped_by_policy(gateway: Gateway) -> int:
    """Return how many packets the kernel has dropped because they came without the IPsec that a policy requires."""
    counters = gateway.run("cat /proc/net/xfrm_stat").split()
    by_name = dict(zip(counters[::2], map(int, counters[1::2]), strict=True))
    # Linux, Documentation/networking/xfrm_proc.rst: no policy, or a policy that requires other states (here: any).
    return by_name["XfrmInNoPols"] + by_name["XfrmInTmplMismatch"]
