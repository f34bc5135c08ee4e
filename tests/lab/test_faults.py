"""Faults of the lab's Internet, in a namespace that stands for it; what they do to a tunnel is in test_article.py."""

import subprocess
from collections.abc import Iterator

import pytest

from lab import faults, settings

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def internet(machine: None) -> Iterator[None]:
    subprocess.run(["ip", "netns", "add", settings.INTERNET_NAMESPACE], check=True)
    yield
    subprocess.run(["ip", "netns", "delete", settings.INTERNET_NAMESPACE], check=True)


@pytest.mark.parametrize("fault", faults.FAULTS)
def test_a_fault_is_on_once_until_it_is_healed(fault: str) -> None:
    assert faults.active() == []
    faults.inject(fault)
    faults.inject(fault)
    assert faults.active() == [fault]
    faults.heal()
    assert faults.active() == []


def test_faults_add_up_and_heal_together() -> None:
    faults.inject("no-udp-500")
    faults.inject("no-udp-4500")
    assert faults.active() == ["no-udp-500", "no-udp-4500"]
    faults.heal()
    faults.heal()
    assert faults.active() == []
