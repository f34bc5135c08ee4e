"""Says, layer by layer, whether this gateway's tunnel carries packets, and what to do where it does not.

Installed by the proof as /usr/local/lib/vpn-verify/vpn_verify.py; what it expects is in /etc/vpn-gateway/gateway.json.
Exit code: 0 when every layer holds, 1 when one does not, 2 when it cannot look. Works on Libreswan 4.10 to 5.4, which
have no machine-readable status: the patterns below are those that all of them share.
"""

import argparse
import calendar
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vpn_metadata import ask
from vpn_probe import echoes, probe

FINISHED = "/run/cloud-init/result.json"
"""Written when cloud-init has done all of a boot, well or not."""

RULES = "/etc/vpn-gateway/filter.rules"
"""What vpn-filter loads."""

MAXIMUM_SKEW = 300
"""Seconds. AWS refuses a request whose signature is older, or younger (AWS General Reference, Signature Version 4)."""

CONNTRACK = "/proc/sys/net/netfilter/nf_conntrack"
FULL = 0.95
"""Of the table of connections, from which on it counts as full."""

begin = ThreadPoolExecutor(16).submit
"""For what takes a while: it is waited for where it is needed."""

WHACK = "/usr/libexec/ipsec/whack"
"""What ipsec(8) calls: a process, where that shell script is a dozen."""

JOURNAL = "journalctl -qu ipsec -ocat --since=-6min"
"""Longer than pluto ever waits before it tries again: 5 minutes."""

IKE_CAUSES = [
    (r"Peer ID .* mismatched", "the peer's identity is another"),
    (r"computed hash does not match|mismatch of preshared secrets", "the pre-shared keys differ"),
    (r"AUTHENTICATION_FAILED|MAIN_I3: retrans", "the pre-shared keys differ, or else the identities"),
    (r"INVALID_ID_INFORMATION", "the peer expects another identity"),
    (
        r"NO_PROPOSAL_CHOSEN|no suitable connection|no connection has been auth|ignoring IKEv1|MAIN_I1: retrans",
        "no common version or proposal: the profiles differ",
    ),
]
"""Pattern for pluto's log -> cause, the surest first; as Libreswan 4.10 and 5.2 were seen to log them."""

POLICY_CAUSES = [
    (r"TS_UNACCEPTABLE|Traffic Selectors|INVALID_ID|no connection is known|match my proposal", "the networks differ"),
    (r"NO_PROPOSAL_CHOSEN|no acceptable Proposal", "no common ESP proposal: the profiles differ"),
]
"""The same where the gateways know each other and cannot agree on what to carry."""


class LayerError(Exception):
    """A layer does not hold; says what was seen and, where it knows better than the layer's table, what to do."""


class FinalError(LayerError):
    """A layer does not hold, and waiting cannot mend it."""


def read(path: str) -> str:
    """Return the file's text, or nothing when it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def run(command: str) -> str:
    """Return what a command printed; that it failed shows in what it did not print."""
    try:
        return subprocess.run(command.split(), capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LayerError(f"{command}: {error}") from error


def metadata() -> tuple[str, str | None]:
    """Return the date and our public address (empty: none) as AWS has them; empty and None when it does not say."""
    try:
        head, address = ask("meta-data/public-ipv4", ask("api/token")[1])
    except OSError:
        return "", None
    date = re.search(r"^Date: (.{25} GMT)", head, re.M | re.I)
    return date[1] if date else "", {"200": address, "404": ""}.get(head[9:12])


def open_tcp(host: str, port: int) -> None:
    """Open a connection; raises OSError."""
    socket.create_connection((host, port), 3).close()


def source(target: str) -> str:
    """Return the address that packets to the target leave from; raises OSError when there is no way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((target, 500))
        return str(link.getsockname()[0])


# Parsers: text of a tool -> what it says.


def default_interface(routes: str) -> str:
    """Return the device of the default route with the lowest metric, from /proc/net/route."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    return min(((int(row[6]), row[0]) for row in rows if row[1] == row[7] == "00000000"), default=(0, ""))[1]


def chains(rules: str) -> dict[str, list[str]]:
    """Return `table chain` -> its rules in order, from iptables-save(8) or the input of iptables-restore(8)."""
    table = ""
    found: dict[str, list[str]] = {}
    for line in rules.splitlines():
        if line[0] == "*":
            table = line[1:]
        elif line[0] == ":":
            found[f"{table} {line[1:].split()[0]}"] = []
        elif line[0] == "-":
            found[f"{table} {line.split()[1]}"].append(line.split(" ", 2)[2].strip())
    return found


def about(connection: str, status: str) -> str:
    """Return the lines of `ipsec status` on a connection, also on those that `leftsubnets` makes of it."""
    # 4.x starts every line with `000 `; the line of a negotiation starts with its number.
    return "\n".join(re.findall(rf'^(?:000 )?(?:#\d+: )?"{re.escape(connection)}[/"].*', status, re.M))


def algorithms(protocol: str, lines: str) -> str:
    """Return the algorithms of the newest established SAs; `protocol` is a pattern for `IKEv1`, `IKEv2` and `ESP`."""
    return ", ".join(sorted(set(re.findall(rf"({protocol} algorithm newest: [^\s;]+)", lines)))).replace(
        "algorithm newest: ", ""
    )


def policies(text: str) -> set[str]:
    """Return `source destination direction` of each policy that demands ESP, from `ip xfrm policy`."""
    found = re.findall(r"^src (\S+) dst (\S+).*\n\s+dir (\w+)(.*(?:\n\s.*)*)", text, re.M)
    return {f"{source} {destination} {way}" for source, destination, way, rest in found if "proto esp" in rest}


def traffic(connection: str, text: str) -> dict[str, tuple[int, int]]:
    """Return what each SA has carried, from `ipsec whack --trafficstatus`."""
    found = re.findall(rf'(#\d+): "{re.escape(connection)}[/"].* inBytes=(\d+), outBytes=(\d+)', text)
    return {sa: (int(inward), int(outward)) for sa, inward, outward in found}


def growth(before: Any, after: Any) -> list[int]:
    """Return how many bytes went in and out; an SA that came with a rekey counts whole."""
    return [sum(after[sa][way] - before.get(sa, (0, 0))[way] for sa in after) for way in (0, 1)]


def difference(expected: Any, actual: Any) -> str:
    """Return what is wrong with the packet filter, or nothing. `VPN-x` is jumped to from `x`, before all else there."""
    for chain, rules in expected.items():
        origin, found = chain.replace("VPN-", ""), actual.get(chain, [])
        for wanted, there in (rules, found), (["-j " + chain.split()[1]], actual.get(origin, [])):
            for place, rule in enumerate(wanted):
                if rule not in there:
                    return f"{origin}: no {rule!r}"
                if rule != there[place]:
                    return f"{origin}: {rule!r} comes after {there[there.index(rule) - 1]!r}"
        if found != rules:
            return f"{origin}: {found[-1]!r} is one too many"
    return ""


def cause(x: Any, causes: Any, log: str) -> str:
    """Return in words why the newest negotiation failed, with pluto's line; nothing when its log does not tell.

    Lines count that name the connection or come from the peer's address, and only since pluto last started.
    """
    ours = f'"{x["connection"]}"', f'"{x["connection"]}/', f"packet from {x['public_ip']}:"
    lines = [line for line in log.rpartition("Starting Pluto")[2].splitlines() if any(own in line for own in ours)]
    for newest in reversed(lines):
        if any(re.search(pattern, newest) for pattern, _ in causes):
            number = re.search(r"#\d+:", newest)
            negotiation = [line for line in lines if number[0] in line] if number else [newest]
            found = [(words, line) for pattern, words in causes for line in negotiation if re.search(pattern, line)]
            return f"{found[0][0]} ({found[0][1][:200]})"
    return ""


# Layers, in order: each returns its evidence or raises.


def boot(_: Any) -> str:
    """See whether the first boot went through all its steps, and this boot is over."""
    word, _, step = read("/var/lib/vpn-gateway/boot").partition(" ")
    finished = read(FINISHED)
    if word == "failed":
        raise FinalError(f"step {step} failed: {read('/var/log/vpn-boot.log').splitlines()[-1:]}")
    if not finished or run("pidof -x vpn-boot"):
        raise LayerError(f"{word} {step}" if step else "cloud-init is running")
    errors = json.loads(finished)["v1"]["errors"]
    # That our steps failed is in there until the next boot, also when they have been run again with success.
    if errors := [error for error in errors if word != "done" or not re.search("scripts.user", error)]:
        raise FinalError(f"cloud-init: {errors}")
    if word != "done":
        raise FinalError(f"step {step} was interrupted")
    return "all steps done"


def clock(x: Any) -> str:
    """See whether AWS would take our signatures."""
    date = x["metadata"].result()[0]
    if not date:
        return "not compared: the metadata service tells no date"
    skew = time.time() - calendar.timegm(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT"))
    if abs(skew) > MAXIMUM_SKEW:
        raise LayerError(f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the metadata service's {date}")
    return f"within {abs(skew):.0f} s of the metadata service's"


def sysctl(_: Any) -> str:
    """See whether the article's 13 keys are in force, on the interface that carries the default route."""
    interface = default_interface(read("/proc/net/route"))
    if not interface:
        raise LayerError("no default route")
    wanted = {"ip_forward": "1"} | {
        f"conf/{scope}/{kind}_redirects": "0"
        for scope in ("all", "default", "lo", interface)
        for kind in ("accept", "secure", "send")
    }
    for key, value in wanted.items():
        if (actual := read(f"/proc/sys/net/ipv4/{key}")) != value:
            raise LayerError(f"net/ipv4/{key} is {actual}, not {value}")
    return f"{len(wanted)} keys, {interface}"


def tables(x: Any, *names: str) -> str:
    """See whether the rules of some tables are those of the rules file, in its order, and nothing comes before them."""
    text = read(RULES)
    if not text.endswith("COMMIT\n# end"):
        raise FinalError(f"{RULES} is not whole: nothing is forwarded", "replace the instance, which writes it")
    expected = {chain: rules for chain, rules in chains(text).items() if chain.split()[0] in names}
    if problem := difference(expected, chains(x["rules"].result())):
        raise LayerError(problem)
    return f"{sum(map(len, expected.values()))} rules"


def packet_filter(x: Any) -> str:
    """See whether nothing passes in the clear or untranslated, who reaches this gateway, and what is not tracked."""
    return tables(x, "filter", "mangle", "raw")


def nat(x: Any) -> str:
    """See whether what goes into the tunnel is exempt from NAT before the rest is masqueraded."""
    return tables(x, "nat")


def conntrack(x: Any) -> str:
    """See whether the kernel's table of connections has room: when it is full, every new one is dropped."""
    count, most = int(x["connections"].result() or 0), int(read(f"{CONNTRACK}_max") or 0)
    said = f"{count} of {most} connections"
    if count >= FULL * most:
        hosts = re.findall(r"^.*?src=(\S+)", read("/proc/net/nf_conntrack"), re.M)
        for host, number in Counter(hosts).most_common(1):
            said += f", {number} of them from {host}"
        raise LayerError(f"the table is full: {said}")
    return said


def secrets(x: Any) -> str:
    """See whether the secret is there for both identities, for root alone. Never shows any of it."""
    path = f"/etc/ipsec.d/{x['connection']}.secrets"
    if not read(path).startswith(f'{x["local_id"]} {x["public_ip"]} : PSK "'):
        raise LayerError(f"{path} has no key for {x['local_id']} {x['public_ip']}")
    status = os.stat(path)
    if status.st_uid or status.st_mode & 0o77:
        raise LayerError(f"{path} is uid {status.st_uid}'s, mode {status.st_mode & 0o777:o}; must be root's, 600")
    return f"{path} is root's alone"


def daemon(x: Any) -> str:
    """See whether pluto runs and answers."""
    version = re.search(r"pluto_version=([^,]+)", x["status"].result())
    if not version:
        raise LayerError(f"ipsec.service is {run('systemctl is-active ipsec')}, pluto does not answer")
    return f"Libreswan {version[1]}"


def connection(x: Any) -> str:
    """See whether pluto has read the connection."""
    x["about"] = about(x["connection"], x["status"].result())
    if not x["about"]:
        raise LayerError(f"{x['connection']} is not loaded")
    return str(x["connection"])


def address(x: Any) -> str:
    """See whether the peer finds us where it looks: our packets' source is the address behind the Elastic IP."""
    own, public = source(x["public_ip"]), x["metadata"].result()[1]
    if own != x["address"]:
        raise LayerError(f"packets to {x['public_ip']} leave from {own}, not {x['address']}")
    if public not in (None, x["local_id"]):
        raise LayerError(f"Elastic IP {x['local_id']} is not associated with {own}, which has {public or 'none'}")
    return f"{own} behind {public or 'an Elastic IP that the metadata service does not tell'}"


def peer(x: Any) -> str:
    """See whether an IKE daemon answers at the peer's address, on each port on its own."""
    said = {port: found.result() for port, found in x["probes"].items()}
    what, silent = x["public_ip"], [port for port in said if said[port] == "silent"]
    if "refused" in said.values():
        raise LayerError(f"{what} refused: no IKE daemon there", "on the peer: sudo systemctl restart ipsec")
    if len(silent) > 1:
        causes = "the peer is stopped, has lost its Elastic IP, or its security group or the path is closed to"
        raise LayerError(f"{what}: UDP 500 and 4500 are silent", f"{causes} {x['local_id']}")
    for port in silent:
        remedy = f"the peer's security group must admit UDP {port} from {x['local_id']}/32"
        raise LayerError(f"{what}: UDP {port} is silent, the other port answers", remedy)
    return f"{what} answers on UDP 500 and 4500"


def ike(x: Any) -> str:
    """See whether an IKE SA of the expected version and algorithm stands; if none does, ask for it and wait for it."""
    wanted = f"IKEv{x['ike_version']} {x['ike_algorithm']}"
    for tried in range(6):
        if found := algorithms("IKEv[12]", x["about"]):
            break
        if not tried:
            # The trap policy makes a negotiation of it.
            echoes(x["address"], x["private_ip"], [84], 0)
        time.sleep(0.5)
        x["about"] = about(x["connection"], run(f"{WHACK} --status"))
    if not found:
        reached = ", ".join(re.findall(r'#\d+: ".*":\d+ (\S+ \([^)]*\))', x["about"])) or "no negotiation"
        raise LayerError(cause(x, IKE_CAUSES, run(JOURNAL)) or f"no IKE SA with {x['public_ip']}: {reached}")
    if wanted.upper() not in found.upper():
        raise LayerError(f"{found}, not {wanted}")
    return f"{found} with {x['public_ip']}"


def policy(x: Any) -> str:
    """See whether the kernel demands ESP of the expected algorithm between all networks of both sides."""
    pairs = [(local, remote) for local in x["local_cidr_blocks"] for remote in x["cidr_blocks"]]
    wanted = {f"{a} {b} out" for a, b in pairs} | {f"{b} {a} {way}" for a, b in pairs for way in ("in", "fwd")}
    for tried in range(2):
        missing = wanted - policies(run("ip xfrm policy"))
        if tried or not missing or not pairs[1:]:
            break
        # A trap is outward only: the rest comes with the first packet of each two networks, or for the asking.
        # Libreswan counts from 1, and not at all where there is one: that is `leftsubnet`, not `leftsubnets`.
        for one, a in enumerate(x["local_cidr_blocks"], len(x["local_cidr_blocks"]) > 1):
            for other, b in enumerate(x["cidr_blocks"], len(x["cidr_blocks"]) > 1):
                if f"{b} {a} in" in missing:
                    run(f"{WHACK} --initiate --asynchronous --name {x['connection']}/{one}x{other}")
        time.sleep(2)
    if missing:
        raise LayerError(cause(x, POLICY_CAUSES, run(JOURNAL)) or f"none between the networks {min(missing)}")
    found = algorithms("ESP", x["about"])
    if f"ESP {x['esp_algorithm']}".upper() not in found.upper():
        raise LayerError(f"{found or 'no ESP'}, not {x['esp_algorithm']}")
    return found


def ping(x: Any) -> str:
    """See whether the peer answers through the tunnel; what the counters did meanwhile is for another layer."""
    before, began = traffic(x["connection"], run(f"{WHACK} --trafficstatus")), time.monotonic()
    answers = echoes(x["address"], x["private_ip"], [84] * 3, 3)
    took = time.monotonic() - began
    x["growth"] = growth(before, traffic(x["connection"], run(f"{WHACK} --trafficstatus")))
    if not answers:
        raise LayerError(f"{x['private_ip']} is silent; bytes in, out: {x['growth']}")
    return f"{x['private_ip']}: {len(answers)} of 3 answered in {took * 1000:.0f} ms"


def mtu(x: Any) -> str:
    """See whether packets as large as the tunnel lets them be come through; else measure which do."""
    ends = x["address"], x["private_ip"]
    if not echoes(*ends, [x["mtu"]] * 2, 2):
        largest = max(echoes(*ends, range(100, x["mtu"], 25), 2), default=84)
        largest = max(echoes(*ends, range(largest, largest + 25), 2), default=largest)
        raise LayerError(f"packets over {largest} bytes are lost on the path; the tunnel's MTU is {x['mtu']}")
    return f"{x['mtu']} bytes pass unfragmented"


def counters(x: Any) -> str:
    """See whether what was answered went through the SAs, not around them."""
    if min(x["growth"]) <= 0:
        raise LayerError(f"bytes in, out: {x['growth']}")
    return f"bytes in, out: {x['growth']}"


def internet(x: Any) -> str:
    """See whether this gateway, and so who is masqueraded by it, reaches the Internet."""
    where = f"{x['internet_host']}:{x['internet_port']}"
    try:
        x["internet"].result()
    except OSError as error:
        raise LayerError(f"no TCP to {where}: {error}") from error
    return f"TCP to {where}"


LAYERS: list[tuple[Any, str, str]] = [
    (boot, "", "read /var/log/vpn-boot.log and cloud-init status --long; remove the cause, then: sudo vpn-boot"),
    (clock, "", "sudo systemctl restart chrony or systemd-timesyncd; timedatectl"),
    (packet_filter, "boot", "sudo systemctl reload-or-restart vpn-filter"),
    (nat, "boot", "the exemption must come before MASQUERADE: sudo systemctl reload-or-restart vpn-filter"),
    (sysctl, "boot", "sudo systemctl restart vpn-filter vpn-sysctl"),
    (conntrack, "", "what opens so many connections? Stop it, or take an instance_type with more memory"),
    (secrets, "boot", "sudo systemctl restart vpn-secrets"),
    (daemon, "secrets", "journalctl -u ipsec; sudo systemctl restart ipsec"),
    (connection, "daemon", "journalctl -u ipsec; sudo systemctl restart ipsec"),
    (address, "", "associate the Elastic IP with the gateway's network interface: pulumi up --refresh"),
    (peer, "address", ""),
    (ike, "connection peer", "make both sides alike: pulumi up; on both: sudo systemctl restart vpn-secrets ipsec"),
    (policy, "ike", "are networks and profile the same on both sides? sudo systemctl restart ipsec"),
    (ping, "policy packet_filter", "run vpn-verify on the peer; is UDP 4500 open both ways?"),
    (mtu, "ping", "what on the path between the gateways drops packets of 1500 bytes: a filter, another tunnel?"),
    (counters, "ping", "does another path lead to the peer? ip route"),
    (
        internet,
        "address conntrack",
        "look at the public route table, the Internet gateway, the security group's egress and DNS",
    ),
]
"""Layer, those that it needs, remedy."""


def examine(expected: Any) -> tuple[dict[str, Any], bool]:
    """Return the document of one look at all layers, and whether waiting cannot mend it."""
    expected |= {
        "metadata": begin(metadata),
        "internet": begin(open_tcp, expected["internet_host"], expected["internet_port"]),
        "rules": begin(run, "iptables-save"),
        "connections": begin(read, f"{CONNTRACK}_count"),
        "status": begin(run, f"{WHACK} --status"),
    }
    peers = [
        {**expected, **one, "probes": {port: begin(probe, one["public_ip"], port, 2) for port in (500, 4500)}}
        for one in expected["peers"]
    ]
    layers, final = [], False
    held: set[str] = set()
    for layer, needs, advice in LAYERS:
        name, status, remedy = layer.__name__, "skipped", ""
        missing = set(needs.split()) - held
        evidence = f"needs {', '.join(sorted(missing))}"
        if not missing:
            try:
                evidence, status = "; ".join(dict.fromkeys(map(layer, peers))), "ok"
                held.add(name)
            except (LayerError, OSError) as error:
                evidence, *better = error.args if isinstance(error, LayerError) else [str(error)]
                status, remedy = "failed", (*better, advice)[0]
                final |= isinstance(error, FinalError)
        layers.append({"name": name, "status": status, "evidence": evidence, "remedy": remedy})
    return {"ok": len(held) == len(LAYERS), "gateway": expected["gateway"], "layers": layers}, final


def table(report: Any) -> str:
    """Return the report for people."""
    lines = [f"{report['gateway']}: {'ok' if report['ok'] else 'NOT ok'}"]
    for layer in report["layers"]:
        lines.append(f"{layer['status']:8}{layer['name']:14}{layer['evidence']}")
        lines += [f"{'':22}-> {layer['remedy']}"] * bool(layer["remedy"])
    return "\n".join(lines)


def main() -> int:
    """Look, once or until all is well, and report."""
    parser = argparse.ArgumentParser(description="Is the tunnel up, and if not, why?")
    parser.add_argument("--json", action="store_true", help="to stdout; what is not well also to stderr, for people")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="look until all is well")
    options = parser.parse_args()
    if os.geteuid():
        print("needs root: sudo vpn-verify", file=sys.stderr)
        return 2
    deadline, said = time.monotonic() + options.wait, ""
    # A look is a dozen processes and threads, which a machine that boots on one processor would wait for.
    while time.monotonic() < deadline and not read(FINISHED):
        time.sleep(2)
    while True:
        report, final = examine(json.loads(read("/etc/vpn-gateway/gateway.json")))
        if report["ok"] or final or time.monotonic() >= deadline:
            break
        broken = next(layer for layer in report["layers"] if layer["status"] == "failed")
        # For one who watches: in the output of a remote command it would bury what comes last.
        if sys.stderr.isatty() and said != (said := f"waiting: {broken['name']}: {broken['evidence']}"[:150]):
            print(said, file=sys.stderr, flush=True)
        time.sleep(2)
    if options.json:
        print(json.dumps(report))
    if not (options.json and report["ok"]):
        print(table(report), file=sys.stderr if options.json else sys.stdout)
    return 0 if report["ok"] else 1
