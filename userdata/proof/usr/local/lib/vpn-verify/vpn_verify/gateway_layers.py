"""The layers of the gateway itself: boot, clock, kernel, daemon, Internet.

Each returns its evidence or raises LayerError. (The packet filter's are in `packet_filter`.)
"""

import calendar
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

from vpn_verify.layer import FinalError, LayerError

MAXIMUM_SKEW = 300
"""Seconds. AWS refuses a request whose signature is older or younger (AWS General Reference, Signature Version 4)."""

FULL = 0.95
"""Part of the table of connections from which on it counts as full."""


def boot(state: Callable[[], str], log: str, cloud_init: str, runs: Callable[[], bool]) -> str:
    """Check that the first boot took all its steps and that this boot is over.

    `state` returns how far vpn-boot is and `runs` whether it runs; `log` is its log, and `cloud_init` is cloud-init's
    result (empty: it still runs).
    """
    # vpn-boot may begin or end between two looks.
    ran = runs()
    word, _, step = state().partition(" ")
    if word == "failed" and not ran:
        raise FinalError(f"step {step} failed: {log.splitlines()[-1:]}")
    if not cloud_init or ran or (word == "running" and runs()):
        raise LayerError(f"running {step}" if step else "vpn-boot is running" if ran else "cloud-init is running")
    errors = json.loads(cloud_init)["v1"]["errors"]
    # The result names failed steps of ours until the next boot, even when they have been run again with success.
    if errors := [error for error in errors if word != "done" or not re.search("scripts.user", error)]:
        raise FinalError(f"cloud-init: {errors}")
    if word != "done":
        raise FinalError(f"step {step} was interrupted")
    return "all steps done"


def clock(date: str, now: float) -> str:
    """Check that AWS would accept our signatures; `date` is the metadata service's, empty if it tells none."""
    if not date:
        return "not compared: the metadata service tells no date"
    skew = now - calendar.timegm(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT"))
    if abs(skew) > MAXIMUM_SKEW:
        raise LayerError(f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the metadata service's {date}")
    return f"within {abs(skew):.0f} s of the metadata service's"


def sysctl(routes: str, value: Callable[[str], str]) -> str:
    """Check that the article's 13 keys are in force, on the interface of the default route.

    `routes` is /proc/net/route; `value` returns the value of a key below net/ipv4.
    """
    interface = default_interface(routes)
    if not interface:
        raise LayerError("no default route")
    wanted = {"ip_forward": "1"} | {
        f"conf/{scope}/{kind}_redirects": "0"
        for scope in ("all", "default", "lo", interface)
        for kind in ("accept", "secure", "send")
    }
    for key, expected in wanted.items():
        if (actual := value(key)) != expected:
            raise LayerError(f"net/ipv4/{key} is {actual}, not {expected}")
    return f"{len(wanted)} keys, {interface}"


def default_interface(routes: str) -> str:
    """Return the device of the default route with the lowest metric, from /proc/net/route."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    return min(((int(row[6]), row[0]) for row in rows if row[1] == row[7] == "00000000"), default=(0, ""))[1]


def conntrack(count: int, most: int, tracked: Callable[[], str]) -> str:
    """Check that the kernel's table of connections has room: when it is full, every new connection is dropped.

    `tracked` returns /proc/net/nf_conntrack, which is read only when the table is full.
    """
    evidence = f"{count} of {most} connections"
    if count < FULL * most:
        return evidence
    hosts = re.findall(r"^.*?src=(\S+)", tracked(), re.M)
    for host, number in Counter(hosts).most_common(1):
        evidence += f", {number} of them from {host}"
    raise LayerError(f"the table is full: {evidence}")


def daemon(status: str, unit: Callable[[], str]) -> str:
    """Check that pluto runs and answers; `unit` returns the state of ipsec.service."""
    version = re.search(r"pluto_version=([^,]+)", status)
    if not version:
        raise LayerError(f"ipsec.service is {unit()}, pluto does not answer")
    return f"Libreswan {version[1]}"


def internet(where: str, opened: Future[None]) -> str:
    """Check that this gateway, and with it the hosts that it masquerades, reaches the Internet.

    `opened` is the result of opening a TCP connection to `where`.
    """
    try:
        opened.result()
    except OSError as error:
        raise LayerError(f"no TCP to {where}: {error}") from error
    return f"TCP to {where}"
