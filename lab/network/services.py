"""The packet filter, the tracked translations and the DHCP and DNS server of a VPC's namespace."""

import logging
import subprocess
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket  # type: ignore[import-untyped]

from lab import processes, settings
from lab.network import model, names
from lab.network.plan import NetworkError
from lab.network.sockets import call_in

_log = logging.getLogger("lab.network")

_NFT = "nft"

# linux/netfilter/nf_conntrack_common.h
_SOURCE_TRANSLATED = 1 << 4
_DESTINATION_TRANSLATED = 1 << 5


def directory() -> Path:
    """Return the directory of the configuration files of running services."""
    return settings.RUN / "network"


def load_ruleset(plan: model.Namespace) -> None:
    """Replace the namespace's rules in one transaction. Raises NetworkError with nft's own message."""
    result = subprocess.run(
        ["ip", "netns", "exec", str(plan.name), _NFT, "-f", "-"],
        input=plan.ruleset,
        text=True,
        capture_output=True,
        check=False,
    )
    if result.returncode != 0:
        raise NetworkError(f"nft refused the ruleset of {plan.name}: {result.stderr.strip()}")
    _log.info("%s: load ruleset", plan.name)


def forget_old_translations(plan: model.Namespace) -> None:
    """Delete tracked connections that a former association of an Elastic IP translated; keep the current ones."""

    def run() -> int:
        count = 0
        with NFCTSocket() as conntrack:
            for entry in list(conntrack.dump()):
                if _translation(entry) - plan.translations:
                    count += _delete(conntrack, entry)
        return count

    deleted = call_in(str(plan.name), run)
    if deleted:
        _log.info("%s: forget %d connections of former Elastic IP associations", plan.name, deleted)


def run_dnsmasq(plan: model.Namespace) -> None:
    """Start the server unless it already runs with this configuration."""
    process = names.dnsmasq_process(str(plan.name))
    path = directory() / f"{plan.name}.conf"
    if processes.find(process) is not None and path.exists() and path.read_text() == plan.dnsmasq:
        return
    processes.stop(process)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(plan.dnsmasq)
    processes.start(
        process,
        ["dnsmasq", f"--conf-file={path}"],
        log=settings.LOGS / f"{process}.log",
        namespace=plan.name,
    )
    _log.info("%s: start dnsmasq", plan.name)


def _translation(entry: Any) -> set[tuple[IPv4Address, IPv4Address]]:
    """Return the pair of (Elastic IP, private address) by which a connection is translated; empty when it is not."""
    status = entry.get_attr("CTA_STATUS") or 0
    original, reply = (_addresses(entry, f"CTA_TUPLE_{side}") for side in ("ORIG", "REPLY"))
    pairs = set()
    if status & _DESTINATION_TRANSLATED:
        pairs.add((original[1], reply[0]))
    if status & _SOURCE_TRANSLATED:
        pairs.add((reply[1], original[0]))
    return pairs


def _addresses(entry: Any, side: str) -> tuple[IPv4Address, IPv4Address]:
    addresses = entry.get_attr(side).get_attr("CTA_TUPLE_IP")
    return IPv4Address(addresses.get_attr("CTA_IP_V4_SRC")), IPv4Address(addresses.get_attr("CTA_IP_V4_DST"))


def _delete(conntrack: Any, entry: Any) -> bool:
    original = NFCTAttrTuple.from_netlink(2, entry.get_attr("CTA_TUPLE_ORIG"))
    try:
        conntrack.entry("del", tuple_orig=original)
    except NetlinkError:
        # The connection has just timed out.
        return False
    return True
