"""Writes transcripts of a gateway's tools, which the tests of their parsers read."""

from pathlib import Path
from typing import Final

from tests.scenarios import matrix
from tests.scenarios.matrix import Cell
from tests.scenarios.sites import Site

FOLDER: Final = Path(__file__).parents[1] / "unit" / "transcripts"

COMMANDS: Final = {
    "status": "ipsec status",
    "traffic": "ipsec whack --trafficstatus",
    "policy": "ip xfrm policy",
    "version": "ipsec --version",
}
"""End of the file's name -> command. None of them prints a key."""


def path(release: str, profile: str, what: str) -> Path:
    """Return where a transcript is, e.g. `libreswan-5.2-modern-status.txt`."""
    return FOLDER / f"libreswan-{matrix.LIBRESWAN[release]}-{profile}-{what}.txt"


def save(site: Site, cell: Cell) -> None:
    """Write the transcripts of one gateway whose tunnel is up, over older ones of the same release and profile."""
    release = cell.release(site.name)
    for what, command in COMMANDS.items():
        path(release, cell.profile.value, what).write_text(site.gateway.run(command))
