"""The floor of Libreswan: what is demanded of which Debian release, and what is only told.

Does not prove that Debian's own packages are not below it (tests/tools/test_floor.py).
"""

import pytest

from lab.machines import releases
from vpn_verify.floor import FLOORS, PATIENCE, REMEDY, libreswan
from vpn_verify.layer import FinalError

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nVERSION="13 (trixie)"\nID=debian\nID_LIKE=no\n'
LATE = PATIENCE + 1.0


def never(*_: str) -> bool:
    pytest.fail("versions are compared")


def is_older(version: str, than: str) -> bool:
    """Compare as dpkg does, for these versions alone."""
    order = ["4.10-2", "4.10-2+deb12u1", "5.2-1", "5.2-2.2", "5.2-2.2+deb13u1"]
    return order.index(version) < order.index(than)


def look(version: str, release: str = TRIXIE, age: float = LATE) -> str:
    return libreswan(release, f"installed={version}", older=is_older, age=age)


@pytest.mark.parametrize("version", ["5.2-1", "5.2-2.2", "5.2-2.2+deb13u1"])
def test_the_floor_and_what_is_newer_hold(version: str) -> None:
    assert look(version) == f"Libreswan {version}, floor 5.2-1"


def test_the_floor_is_that_of_the_release_also_of_one_whose_values_have_no_quotes() -> None:
    assert look("4.10-2+deb12u1", "ID=debian\nVERSION_ID=12") == "Libreswan 4.10-2+deb12u1, floor 4.10-2+deb12u1"


def test_an_older_version_fails_with_the_version_the_floor_what_it_fixes_and_the_remedy() -> None:
    with pytest.raises(FinalError) as error:
        look("4.10-2+deb12u1")
    assert error.value.args == (
        "Libreswan 4.10-2+deb12u1 is older than 5.2-1, which has the fixes of CVE-2023-38710, CVE-2023-38711, "
        "CVE-2023-38712, CVE-2024-2357, CVE-2024-3652",
        REMEDY,
    )
    assert "sudo apt-get install libreswan" in REMEDY


def test_a_gateway_whose_first_boot_is_not_three_days_ago_only_tells_it() -> None:
    assert look("4.10-2", age=PATIENCE - 1).startswith("Libreswan 4.10-2 is older than 5.2-1, which has the fixes of ")


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ('ID=debian\nVERSION_ID="14"', "debian-14"),
        ("ID=debian\nVERSION_CODENAME=sid", "debian-"),
        ('ID=ubuntu\nVERSION_ID="12"', "ubuntu-12"),
        ("", "-"),
    ],
)
def test_of_a_release_that_is_not_in_the_table_nothing_is_demanded(release: str, name: str) -> None:
    told = libreswan(release, "installed=4.10-2", older=never, age=LATE)
    assert told == f"Libreswan 4.10-2, no floor is known for {name}"


@pytest.mark.parametrize("package", ["", "config-files=4.10-2", "half-configured=4.10-2"])
def test_of_a_libreswan_that_is_not_an_installed_package_nothing_is_demanded(package: str) -> None:
    told = libreswan(TRIXIE, package, older=never, age=LATE)
    assert told == "Libreswan is not installed as a package, so no floor is known"


def test_each_release_that_a_gateway_may_have_has_a_floor() -> None:
    assert sorted(FLOORS) == releases.names()
