#!/usr/bin/env python3
"""Says, layer by layer, whether this gateway's tunnel carries packets, and what to do where it does not.

Installed as /usr/local/bin/vpn-verify; what it expects is in /etc/vpn-verify.json. Exit code: 0 when every layer holds,
1 when one does not, 2 when it cannot look. Works on Libreswan 4.10 to 5.4, which have no machine-readable status: the
patterns below are those that all of them share. userdata.slim takes comments, docstrings and annotations out of the
copy on the gateway: user data is small.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from typing import Any

Traffic = dict[str, tuple[int, int]]
"""SA -> payload bytes in, out."""


class LayerError(Exception):
    """A layer does not hold; says what was seen."""


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


# Parsers: text of a tool -> what it says.


def default_interface(routes: str) -> str:
    """Return the device of the default route with the lowest metric, from /proc/net/route."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    return min(((int(row[6]), row[0]) for row in rows if row[1] == row[7] == "00000000"), default=(0, ""))[1]


def chains(rules: str) -> dict[str, list[str]]:
    """Return `table chain` -> its rules in order, from iptables-save(8) or the input of iptables-restore(8)."""
    table, found = "", dict[str, list[str]]()
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


def traffic(connection: str, text: str) -> Traffic:
    """Return what each SA has carried, from `ipsec whack --trafficstatus`."""
    found = re.findall(rf'(#\d+): "{re.escape(connection)}[/"].* inBytes=(\d+), outBytes=(\d+)', text)
    return {sa: (int(inward), int(outward)) for sa, inward, outward in found}


def growth(before: Traffic, after: Traffic) -> list[int]:
    """Return how many bytes went in and out; an SA that came with a rekey counts whole."""
    return [sum(after[sa][way] - before.get(sa, (0, 0))[way] for sa in after) for way in (0, 1)]


def difference(expected: dict[str, list[str]], actual: dict[str, list[str]]) -> str:
    """Return what is wrong with the packet filter, or nothing. `VPN-x` is jumped to from `x`, before all else there."""
    for chain, rules in expected.items():
        origin, jump = chain.replace("VPN-", ""), "-j " + chain.split()[1]
        for wanted, found in (rules, actual.get(chain, [])), ([jump], actual.get(origin, [])[:1]):
            if wanted != found:
                lost = [rule for rule in wanted if rule not in found]
                return f"{origin}: {f'no {lost[0]!r}' if lost else 'order or number of rules differs'}"
    return ""


# Layers, in order: each returns its evidence or raises.


def boot(_: Any) -> str:
    """See whether the first boot went through all its steps, and this boot is over."""
    word, _, step = read("/var/lib/vpn-gateway/boot").partition(" ")
    finished = read("/run/cloud-init/result.json")
    if word == "failed":
        raise FinalError(f"step {step} failed: {read('/var/log/vpn-boot.log').splitlines()[-1:]}")
    errors = json.loads(finished)["v1"]["errors"] if finished else []
    # That our steps failed is in there until the next boot, also when they have been run again with success.
    if errors := [error for error in errors if word != "done" or "scripts_user" not in error]:
        raise FinalError(f"cloud-init: {errors}")
    if finished and word != "done":
        raise FinalError(f"step {step} was interrupted")
    if not finished:
        raise LayerError(f"{word} {step}" if step else "cloud-init is running")
    return "all steps done"


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


def packet_filter(_: Any) -> str:
    """See whether the rules are those of the rules file, in its order, and nothing comes before them."""
    expected = chains(read("/etc/vpn-gateway/filter.rules"))
    if problem := difference(expected, chains(run("iptables-save"))):
        raise LayerError(problem)
    return f"{sum(map(len, expected.values()))} rules"


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
    state, x["status"] = run("systemctl is-active ipsec"), run("ipsec status")
    if state != "active" or "Total IPsec" not in x["status"]:
        raise LayerError(f"ipsec.service is {state}{'' if x['status'] else ', pluto does not answer'}")
    return run("ipsec --version")


def connection(x: Any) -> str:
    """See whether pluto has read the connection."""
    x["about"] = about(x["connection"], x["status"])
    if not x["about"]:
        raise LayerError(f"{x['connection']} is not loaded")
    return str(x["connection"])


def ike(x: Any) -> str:
    """See whether an IKE SA of the expected version and algorithm stands."""
    found, wanted = algorithms("IKEv[12]", x["about"]), f"IKEv{x['ike_version']} {x['ike_algorithm']}"
    if not found:
        reached = ", ".join(re.findall(r'#\d+: ".*":\d+ (\S+ \([^)]*\))', x["about"])) or "no negotiation"
        log = re.findall(rf'"{x["connection"]}.*', run("journalctl -qu ipsec -n99 -ocat"))[-1:]
        raise LayerError(f"no IKE SA with {x['public_ip']}: {reached}; log: {log}")
    if wanted.upper() not in found.upper():
        raise LayerError(f"{found}, not {wanted}")
    return f"{found} with {x['public_ip']}"


def policy(x: Any) -> str:
    """See whether the kernel demands ESP of the expected algorithm between all networks of both sides."""
    pairs = [(local, remote) for local in x["local_cidr_blocks"] for remote in x["cidr_blocks"]]
    wanted = {f"{a} {b} out" for a, b in pairs} | {f"{b} {a} {way}" for a, b in pairs for way in ("in", "fwd")}
    if missing := wanted - policies(run("ip xfrm policy")):
        raise LayerError(f"none for {min(missing)}")
    found = algorithms("ESP", x["about"])
    if f"ESP {x['esp_algorithm']}".upper() not in found.upper():
        raise LayerError(f"{found or 'no ESP'}, not {x['esp_algorithm']}")
    return found


def ping(x: Any) -> str:
    """See whether the peer answers through the tunnel; what the counters did meanwhile is for the next layer."""
    before = traffic(x["connection"], run("ipsec whack --trafficstatus"))
    text = run(f"ping -nqc3 -i0.2 -w4 -I {x['address']} {x['private_ip']}")
    x["growth"] = growth(before, traffic(x["connection"], run("ipsec whack --trafficstatus")))
    answers = re.search(r"([1-9]\d*) received", text)
    if not answers:
        raise LayerError(f"{x['private_ip']} is silent; bytes in, out: {x['growth']}")
    return f"{x['private_ip']}: {answers[0]}, {text.splitlines()[-1]}"


def counters(x: Any) -> str:
    """See whether what was answered went through the SAs, not around them."""
    if min(x["growth"]) <= 0:
        raise LayerError(f"bytes in, out: {x['growth']}")
    return f"bytes in, out: {x['growth']}"


LAYERS: list[tuple[Any, str, str]] = [
    (boot, "", "read /var/log/vpn-boot.log and cloud-init status --long; remove the cause, then: sudo vpn-boot"),
    (sysctl, "boot", "sudo systemctl restart vpn-sysctl"),
    (packet_filter, "boot", "sudo systemctl reload-or-restart vpn-filter"),
    (secrets, "boot", "sudo systemctl restart vpn-secrets"),
    (daemon, "secrets", "journalctl -u ipsec; sudo systemctl restart ipsec"),
    (connection, "daemon", "sudo systemctl restart ipsec"),
    (ike, "connection", "is the peer up, UDP 500 and 4500 open both ways, PSK and profile the same?"),
    (policy, "ike", "are networks and profile the same on both sides? sudo systemctl restart ipsec"),
    (ping, "policy packet_filter", "run vpn-verify on the peer; is UDP 4500 open both ways?"),
    (counters, "ping", "does another path lead to the peer? ip route"),
]
"""Layer, those that it needs, remedy."""


def examine(expected: Any) -> tuple[dict[str, Any], bool]:
    """Return the document of one look at all layers, and whether waiting cannot mend it."""
    peers = [{**expected, **peer} for peer in expected["peers"]]
    layers, held, final = [], set[str](), False
    for layer, needs, advice in LAYERS:
        name, status, remedy = layer.__name__, "skipped", ""
        missing = set(needs.split()) - held
        evidence = f"needs {', '.join(sorted(missing))}"
        if not missing:
            try:
                evidence, status = "; ".join(dict.fromkeys(map(layer, peers))), "ok"
                held.add(name)
            except LayerError as error:
                evidence, status, remedy = str(error), "failed", advice
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
    while True:
        report, final = examine(json.loads(read("/etc/vpn-verify.json")))
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


if __name__ == "__main__":
    sys.exit(main())
