"""The layers of one tunnel, from its secret to the packets that it carries.

Each returns what it saw or raises LayerError.
"""

import os
import re
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256

from pluto import initiate, traffic, whack
from vpn_verify.causes import IKE_CAUSES, POLICY_CAUSES, cause
from vpn_verify.echoes import answered
from vpn_verify.layer import Growth, IkeSa, LayerError, Ping
from vpn_verify.machine import ipsec_journal, read, run
from vpn_verify.status import about, algorithms

SECONDS = 20
"""pluto's time to answer."""
PPK = 'PPKS "vpn"'
"""How ipsec.secrets(5) names the postquantum pre-shared key, with its PPK_ID."""


def secrets(path: str, local_id: str, public_ip: str, *, postquantum: bool) -> str:
    """Check that the keys are present for both addresses, and for root alone. Never shows any of them.

    Release 0.1.0 wrote them for the addresses alone, without the names by which the layer `key` proves them.
    """
    line = rf'^{re.escape(f"{local_id} {public_ip}")}(?: @key\.\S+)* : (PSK|{PPK}) "(.*)"$'
    found = dict(re.findall(line, read(path), re.M))
    if "PSK" not in found:
        raise LayerError(f"{path} has no key for {local_id} {public_ip}")
    if postquantum and PPK not in found:
        raise LayerError(f"{path} has no postquantum key for {local_id} {public_ip}")
    status = os.stat(path)
    if status.st_uid or status.st_mode & 0o77:
        raise LayerError(f"{path} is uid {status.st_uid}'s, mode {status.st_mode & 0o777:o}; must be root's, 600")
    names = [f"key {fingerprint(found['PSK'], 'PSK', local_id, public_ip)}"]
    names += [f"postquantum key {fingerprint(found[PPK], PPK, local_id, public_ip)}"] if postquantum else []
    return f"{path} is root's alone, {', '.join(names)}"


def fingerprint(key: str, kind: str, *addresses: str) -> str:
    """Return a short name of a pre-shared key, the same on both gateways. `kind` is how ipsec.secrets(5) names it.

    The key has 128 bits of entropy or more, so eight digits confirm no guess of it.
    """
    return sha256(" ".join([f"vpn-gateway-pair {kind}", *sorted(addresses), key]).encode()).hexdigest()[:8]


def connection(names: Iterable[str], status: str) -> str:
    """Check that pluto has read the connection of each pair of ranges."""
    for name in names:
        if f'"{name}"' not in status:
            raise LayerError(f"{name} is not loaded")
    return ", ".join(names)


def address(own: str, public: str | None, *, expected: str, local_id: str, public_ip: str) -> str:
    """Check that the peer finds us where it looks: the source of our packets is the address behind the Elastic IP.

    `own` is that source; `public` is our public address as the metadata service has it (empty: none; None: unknown).
    """
    if own != expected:
        raise LayerError(f"packets to {public_ip} leave from {own}, not {expected}")
    if public not in (None, local_id):
        raise LayerError(f"Elastic IP {local_id} is not associated with {own}, which has {public or 'none'}")
    return f"{own} behind {public or 'an Elastic IP that the metadata service does not tell'}"


def peer(public_ip: str, local_id: str, answers: Mapping[int, str]) -> str:
    """Check that an IKE daemon answers at the peer's address; `answers` is port -> what the probe of it returned."""
    silent = [port for port in answers if answers[port] == "silent"]
    if "refused" in answers.values():
        raise LayerError(f"{public_ip} refused: no IKE daemon there", "on the peer: sudo systemctl restart ipsec")
    if len(silent) > 1:
        causes = "the peer is stopped, has lost its Elastic IP, or its security group or the path is closed to"
        raise LayerError(f"{public_ip}: UDP 500 and 4500 are silent", f"{causes} {local_id}")
    for port in silent:
        remedy = f"the peer's security group must admit UDP {port} from {local_id}/32"
        raise LayerError(f"{public_ip}: UDP {port} is silent, the other port answers", remedy)
    return f"{public_ip} answers on UDP 500 and 4500"


def ike(name: str, public_ip: str, wanted: str, status: str, ends: tuple[str, str], *, postquantum: bool) -> IkeSa:
    """Check that an IKE SA of the `wanted` version and algorithm stands; if none does, ask for it and wait for it.

    With `postquantum`, its keys must depend on the postquantum key. pluto deletes the SAs of a connection that it loads
    again, so the SA was negotiated as the loaded connection says. `ends` are the private addresses of both gateways: an
    echo between them makes the trap policy start a negotiation. If the peer's is unknown, pluto is asked for one.
    """
    lines = about(name, status)
    for attempt in range(6):
        if found := algorithms("IKEv[12]", lines):
            break
        if not attempt:
            if ends[1]:
                answered(*ends, [84], 0)
            else:
                initiate(name)
        time.sleep(0.5)
        lines = about(name, whack("--status", seconds=SECONDS) or "")
    if not found:
        reached = ", ".join(re.findall(r'#\d+: ".*":\d+ (\S+ \([^)]*\))', lines)) or "no negotiation"
        why = cause(name, public_ip, IKE_CAUSES, ipsec_journal())
        raise LayerError(why or f"no IKE SA with {public_ip}: {reached}")
    if wanted.upper() not in found.upper():
        raise LayerError(f"{found}, not {wanted}")
    if postquantum and "PPK_INSIST" not in lines:
        raise LayerError(f"pluto does not insist on a postquantum key for {name}")
    return IkeSa(f"{found}{', postquantum key' if postquantum else ''} with {public_ip}", lines)


def policy(name: str, public_ip: str, *, pairs: Mapping[str, tuple[str, str]], esp_algorithm: str, status: str) -> str:
    """Check that the kernel demands ESP of the expected algorithm between all ranges of both sides.

    `pairs` is name of a connection -> its local and remote range, `status` is their lines of `whack --status`.
    """
    wanted = {f"{a} {b} out" for a, b in pairs.values()}
    wanted |= {f"{b} {a} {way}" for a, b in pairs.values() for way in ("in", "fwd")}
    missing = wanted - policies(run("ip xfrm policy"))
    if missing and len(pairs) > 1:
        # A trap is outward only. The other policies come with the first packet of each pair, or on request.
        for each, (own, other) in pairs.items():
            if f"{other} {own} in" in missing:
                initiate(each)
        time.sleep(2)
        missing = wanted - policies(run("ip xfrm policy"))
    if missing:
        why = cause(name, public_ip, POLICY_CAUSES, ipsec_journal())
        raise LayerError(why or f"none between the networks {min(missing)}")
    found = algorithms("ESP", status)
    if f"ESP {esp_algorithm}".upper() not in found.upper():
        raise LayerError(f"{found or 'no ESP'}, not {esp_algorithm}")
    return found


def policies(text: str) -> set[str]:
    """Return `source destination direction` of each policy that demands ESP, from `ip xfrm policy`."""
    found = re.findall(r"^src (\S+) dst (\S+).*\n\s+dir (\w+)(.*(?:\n\s.*)*)", text, re.M)
    return {f"{source} {destination} {way}" for source, destination, way, rest in found if "proto esp" in rest}


def ping(name: str, ends: tuple[str, str]) -> Ping:
    """Check that the peer answers through the tunnel; `ends` are the private addresses of both gateways."""
    before, began = _traffic(name), time.monotonic()
    answers = answered(*ends, [84] * 3, 3)
    took = time.monotonic() - began
    carried = growth(before, _traffic(name))
    if not answers:
        raise LayerError(f"{ends[1]} is silent; bytes in, out: {list(carried)}")
    return Ping(f"{ends[1]}: {len(answers)} of 3 answered in {took * 1000:.0f} ms", carried)


def _traffic(name: str) -> dict[str, Growth]:
    text = whack("--trafficstatus", seconds=SECONDS) or ""
    return {sa: carried for sa, carried in traffic(name, text).items() if carried}


def growth(before: Mapping[str, Growth], after: Mapping[str, Growth]) -> Growth:
    """Return how many bytes went in and out; an SA that came with a rekey counts whole."""
    inward, outward = (sum(after[sa][way] - before.get(sa, (0, 0))[way] for sa in after) for way in (0, 1))
    return inward, outward


def associations(name: str, pairs: Iterable[str]) -> str:
    """Check that each pair of ranges has a Child SA, of a tunnel to a peer whose private address is unknown.

    Sends nothing. An idle tunnel passes: the bytes that the SAs have carried are only reported. `pairs` are the names
    of the connections.
    """
    sas = _traffic(name)
    established = {name + sa.partition("#")[0] for sa in sas}
    for each in pairs:
        if each not in established:
            raise LayerError(f"no Child SA of {each}", "does the peer want one? journalctl -u ipsec -u vpn-watch")
    carried = growth({}, sas)
    idle = [way for way, number in zip(("in", "out"), carried, strict=True) if not number]
    told = f"; idle: no byte {' or '.join(idle)} by these SAs" if idle else ""
    return f"{name} has its Child SAs, bytes in, out: {list(carried)}{told}; no ping, because private_ip is unknown"


def mtu(ends: tuple[str, str], size: int) -> str:
    """Check that packets as large as the tunnel's MTU pass; otherwise measure the largest that does."""
    if answered(*ends, [size] * 2, 2):
        return f"{size} bytes pass unfragmented"
    largest = max(answered(*ends, range(100, size, 25), 2), default=84)
    largest = max(answered(*ends, range(largest, largest + 25), 2), default=largest)
    raise LayerError(f"packets over {largest} bytes are lost on the path; the tunnel's MTU is {size}")


def counters(carried: Growth) -> str:
    """Check that what was answered went through the SAs, not around them."""
    evidence = f"bytes in, out: {list(carried)}"
    if min(carried) <= 0:
        raise LayerError(evidence)
    return evidence
