"""What can go wrong in the lab's Internet, switched on and off by nftables rules in its namespace."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from lab import settings

_TABLE: Final = "lab_fault"


@dataclass(frozen=True)
class Fault:
    """One nftables rule: a statement on everything that passes a hook."""

    statement: str
    hook: Literal["forward", "input"] = "forward"
    """`forward`: what crosses the Internet. `input`: what is for the Internet's own servers."""


FAULTS: Final[Mapping[str, Fault]] = {
    "partition": Fault("drop"),
    "no-udp-500": Fault("udp dport 500 drop"),
    "no-udp-4500": Fault("udp dport 4500 drop"),
    "mtu-1300": Fault(
        f"ip saddr != {settings.ADMINISTRATOR} ip daddr != {settings.ADMINISTRATOR} ip length > 1300 drop"
    ),
    "mirror": Fault(f"ip daddr {settings.WEB_SERVER} tcp dport 80 reject with icmp host-unreachable", "input"),
}
"""Fault -> rule. `mtu-1300` is a black hole: nothing is sent back; the administrator's way is another one. `mirror`
takes the package mirror away, and with it the public web server, which has the same address; who asks is told at once.
"""


def inject(fault: str) -> None:
    """Switch `fault` on. Raises KeyError for a name that is not in FAULTS."""
    rule = FAULTS[fault]
    # Emptied first: a fault that is on already stays one rule.
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
    # nft(8) knows no hyphen in an identifier.
    return fault.replace("-", "_")


def _nft(ruleset: str) -> None:
    subprocess.run(_command("-f", "-"), input=ruleset, text=True, check=True)


def _command(*arguments: str) -> list[str]:
    return ["ip", "netns", "exec", settings.INTERNET_NAMESPACE, "nft", *arguments]
