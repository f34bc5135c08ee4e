"""The tools tier: every rendered file is read by the real program that reads it on a gateway; needs root.

Proves: what Libreswan, iptables, cloud-init, sshd, systemd and nft of the Debian releases say of our files and
programs. Does not prove: ESP, which needs a guest's kernel (tests/scenarios). Command: `make test-tools`. The first run
builds the releases' trees, which the lab shares. Nothing is left behind.
"""

import os

import pytest

from lab.machines import releases


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses releases."""
    parser.addoption("--release", action="append", help="a Debian release, e.g. debian-13 (default: all)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `release` once for each of them."""
    if "release" in metafunc.fixturenames:
        metafunc.parametrize("release", metafunc.config.getoption("--release", default=None) or releases.names())


@pytest.fixture(scope="session", autouse=True)
def root() -> None:
    """Fail where there are no rights for it: a skipped tier proves nothing."""
    if os.geteuid() != 0:
        pytest.fail("tests/tools needs root for chroots and network namespaces; run `sudo make test-tools`")
