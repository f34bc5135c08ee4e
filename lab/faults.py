"""What can go wrong in the lab's Internet, switched on and off by nftables rules in its namespace."""

import subprocess
from collections.abc import Mapping
from typing import Final

from lab import settings

_TABLE: Final = "lab_fault"

FAULTS: Final[Mapping[str, str]] = {
    "partition": "drop",
    "no-udp-500": "udp dport 500 drop",
    "no-udp-4500": "udp dport 4500 drop",
    "mtu-1300": "ip length > 1300 drop",
}
"""Fault -> nftables statement on everything the Internet forwards. `mtu-1300` is a black hole: nothing is sent back."""


def inject(fault: str) -> None:
    """Switch `fault` on. Raises KeyError for a name that is not in FAULTS."""
    statement = FAULTS[fault]
    # Emptied first: a fault that is on already stays one rule.
    _nft(
        f"table ip {_TABLE} {{ chain {_chain(fault)} {{ type filter hook forward priority -10; }}; }}\n"
        f"flush chain ip {_TABLE} {_chain(fault)}\n"
        f"add rule ip {_TABLE} {_chain(fault)} {statement}\n"
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
