"""Faults of the lab's Internet, as nftables rules in its namespace."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lab import settings

_TABLE: Final = "lab_fault"


@dataclass(frozen=True)
class Fault:
    """One nftables rule: a statement for all packets of a hook."""

    statement: str
    hook: Literal["forward", "input"] = "forward"
    """`forward`: packets that cross the Internet. `input`: packets for the Internet's own servers."""


FAULTS: Final[Mapping[str, Fault]] = {
    "partition": Fault("drop"),
    "no-udp-500": Fault("udp dport 500 drop"),
    "no-udp-4500": Fault("udp dport 4500 drop"),
    "mtu-1300": Fault(
        f"ip saddr != {settings.ADMINISTRATOR} ip daddr != {settings.ADMINISTRATOR} ip length > 1300 drop"
    ),
    "mirror": Fault(f"ip daddr {settings.WEB_SERVER} tcp dport 80 reject with icmp host-unreachable", "input"),
}
"""Name of a fault -> its rule. `mtu-1300` drops without a reply, except packets of the administrator, who has another
path. `mirror` rejects connections to the package mirror, and to the public web server, which has the same address.
"""


def inject(fault: str) -> None:
    """Switch `fault` on. Raises KeyError for an unknown name."""
    rule = FAULTS[fault]
    # Flushed first, so that a fault that is already on stays a single rule.
    _nft(
        f"table ip {_TABLE} {{ chain {_chain(fault)} {{ type filter hook {rule.hook} priority -10; }}; }}\n"
        f"flush chain ip {_TABLE} {_chain(fault)}\n"
        f"add rule ip {_TABLE} {_chain(fault)} {rule.statement}\n"
    )


def active() -> list[str]:
    """Return the faults that are switched on."""
    listing = subprocess.run(_command("list", "table", "ip", _TABLE), capture_output=True, text=True, check=False)
    return [fault for fault in FAULTS if f"chain {_chain(fault)} " in listing.stdout]


def heal() -> None:
    """Switch all faults off."""
    _nft(f"table ip {_TABLE} {{ }}\ndelete table ip {_TABLE}\n")


def _chain(fault: str) -> str:
    # Identifiers of nft(8) must not contain hyphens.
    return fault.replace("-", "_")


def _nft(ruleset: str) -> None:
    subprocess.run(_command("-f", "-"), input=ruleset, text=True, check=True)


def _command(*arguments: str) -> list[str]:
    return ["ip", "netns", "exec", settings.INTERNET_NAMESPACE, "nft", *arguments]
