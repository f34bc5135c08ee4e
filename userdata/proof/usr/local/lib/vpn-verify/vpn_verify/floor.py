"""The floor of Libreswan: the oldest version of each Debian release with the fixes that Debian has published for it.

A flaw without a fix in the release is not in the table: no version could be demanded. docs/updates.md lists them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from vpn_verify.layer import FinalError

RELEASE = "/etc/os-release"

PACKAGE = "dpkg-query -W -f=${db:Status-Status}=${Version} libreswan"
"""Prints e.g. `installed=5.2-2.2`, or nothing when dpkg does not know the package."""

PATIENCE = 3 * 24 * 3600
"""Seconds since the first boot. A new gateway does not fail its first `up` because its mirror is behind Debian."""

REMEDY = "sudo apt-get update && sudo apt-get install libreswan; this interrupts the tunnel for some seconds"


class Floor(NamedTuple):
    """The oldest version of the package that has the fixes, and what they fix since the release before."""

    version: str
    cves: tuple[str, ...]


FLOORS: Final[Mapping[str, Floor]] = {
    "debian-12": Floor("4.10-2+deb12u1", ("CVE-2022-23094", "CVE-2023-23009", "CVE-2023-30570")),
    # Not 4.15-1, which has them too: dpkg takes 5.0~rc2-1 for newer, and that was before the fix of CVE-2024-3652.
    "debian-13": Floor(
        "5.2-1", ("CVE-2023-38710", "CVE-2023-38711", "CVE-2023-38712", "CVE-2024-2357", "CVE-2024-3652")
    ),
}
"""Release -> floor, as the changelogs of Debian's packages have them."""


def libreswan(release: str, package: str, *, older: Callable[[str, str], bool], age: float) -> str:
    """Return what is known of the installed Libreswan; raise if it is older than the floor, and not for want of time.

    `release` is the text of RELEASE, `package` what PACKAGE prints; `older` compares two versions as Debian does; `age`
    is how many seconds ago the first boot ended.
    """
    status, _, version = package.partition("=")
    if status != "installed":
        return "Libreswan is not installed as a package, so no floor is known"
    values = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)', release, re.M))
    name = f"{values.get('ID', '')}-{values.get('VERSION_ID', '')}"
    if not (floor := FLOORS.get(name)):
        return f"Libreswan {version}, no floor is known for {name}"
    if not older(version, floor.version):
        return f"Libreswan {version}, floor {floor.version}"
    problem = f"Libreswan {version} is older than {floor.version}, which has the fixes of {', '.join(floor.cves)}"
    if age > PATIENCE:
        raise FinalError(problem, REMEDY)
    return problem
