"""The floor of Libreswan by the real dpkg of each Debian release, for the package that this release has now."""

from tests.tools import pluto

LOOK = """
    cat >/tmp/look.py <<'END'
import sys; sys.path[:0] = ['/usr/local/lib/vpn-verify', '/usr/local/lib/vpn-gateway']
from vpn_verify import floor
from vpn_verify.layer import FinalError
from vpn_verify.machine import older, read, run
try:
    print(floor.libreswan(read(floor.RELEASE), run(floor.PACKAGE), older=older, age=floor.PATIENCE + 1))
except FinalError as error:
    print("fails:", error.args[0])
for version in sys.argv[1:]:
    print(version, [older(version, each.version) for each in floor.FLOORS.values()])
print([run(floor.PACKAGE.replace("libreswan", "no-such-package"))])
END
"""
ORDER = {
    "4.10-2": [True, True],
    "4.10-2+deb12u1": [False, True],
    "4.15-1": [False, True],
    "5.0~rc2-2": [False, True],
    "5.2-1": [False, False],
    "5.2-2.2+deb13u1": [False, False],
}


def test_debians_own_package_is_not_below_the_floor_and_dpkg_compares(release: str) -> None:
    done = pluto.run(release, f"{LOOK} python3 /tmp/look.py {' '.join(ORDER)}")
    assert done.returncode == 0, done.stderr
    found, *compared, rest = done.stdout.splitlines()
    floor = {"debian-12": "4.10-2+deb12u1", "debian-13": "5.2-1"}[release]
    assert found.startswith("Libreswan ")
    assert found.endswith(f", floor {floor}")
    assert compared == [f"{version} {older}" for version, older in ORDER.items()]
    assert rest == "['']"
