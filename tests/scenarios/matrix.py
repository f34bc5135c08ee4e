"""The combinations of guest releases and profiles, in the order that replaces the fewest instances."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from components.decisions.tunnel import TunnelProfile
from lab import settings, stack

LIBRESWAN: Final = {"debian-12": "4.10", "debian-13": "5.2"}
"""Release -> the version of Libreswan that it ships."""

_PROJECT = "vpn-gateway-pair"


@dataclass(frozen=True)
class Cell:
    """One combination: the left (uk) and the right (au) side's image, and the profile of both."""

    left: str
    right: str
    profile: TunnelProfile

    def __str__(self) -> str:
        """Return it as a test's id."""
        return f"{self.left}-{self.right}-{self.profile.value}"

    def release(self, site: str) -> str:
        """Return the image of the side `uk` or `au`."""
        return {"uk": self.left, "au": self.right}[site]


CELLS: Final = (
    # The stack's own configuration is up already, so it comes first. Each step then changes one image, or the profile,
    # which is in both gateways' user data: six boots, and two for the way back.
    Cell("debian-13", "debian-13", TunnelProfile.MODERN),
    Cell("debian-13", "debian-12", TunnelProfile.MODERN),
    Cell("debian-12", "debian-12", TunnelProfile.MODERN),
    Cell("debian-12", "debian-12", TunnelProfile.ARTICLE_2014),
    Cell("debian-12", "debian-13", TunnelProfile.ARTICLE_2014),
    Cell("debian-13", "debian-13", TunnelProfile.ARTICLE_2014),
)


def configuration(cell: Cell, own: str) -> str:
    """Return the text `own` of the stack file with the cell's images and profile."""
    document: dict[str, Any] = yaml.safe_load(own)
    changed = {"leftImage": cell.left, "rightImage": cell.right, "profile": cell.profile.value}
    document["config"] |= {f"{_PROJECT}:{key}": value for key, value in changed.items()}
    return yaml.safe_dump(document, sort_keys=False)


def up(cell: Cell, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `pulumi up` with the cell's configuration, in a copy of the stack's file. The caller checks the result."""
    own = settings.ROOT / f"Pulumi.{stack.STACK}.yaml"
    file = folder / f"Pulumi.{stack.STACK}.yaml"
    file.write_text(configuration(cell, own.read_text()))
    quiet = ["--yes", "--suppress-permalink", "--suppress-progress"]
    return stack.pulumi(["up", "--stack", stack.STACK, "--config-file", str(file), *quiet], capture=True)


def warnings(output: str) -> list[str]:
    """Return the engine's warnings."""
    return re.findall(r"^\s*warning: (.+)$", output, re.M)
