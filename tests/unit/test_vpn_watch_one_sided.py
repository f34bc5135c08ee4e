"""When vpn-watch asks for another SA because one of the tunnel's SAs brings nothing: looks, one a second.

Two negotiations at once leave such an SA (libreswan #2184). Does not prove what the kernel then sends by.
"""

from pathlib import Path
from types import SimpleNamespace

import pytest

import expectations
import vpn_watch
from tests.unit.gateway_documents import gateway_document, installed_files

USED = '#2: "uk-to-au", type=ESP, inBytes=84, outBytes=84'
UNUSED = '#4: "uk-to-au", type=ESP, inBytes=0, outBytes=0'
GONE = '#4: "uk-to-au", type=ESP'
IDLE_RANGE = '#5: "uk-to-au/10.5.0.0/16=172.31.0.0/16", type=ESP, inBytes=0, outBytes=0'


def asked(monkeypatch: pytest.MonkeyPatch, folder: Path, traffic: str, *, answers: str) -> list[int]:
    """Return at which looks another SA is asked for. `answers` has a letter for each look: `y`, or `n` for silence."""
    path = folder / "gateway.json"
    path.write_text(installed_files(gateway_document())[expectations.PATH])
    gateway = expectations.load(str(path))
    heard, found = iter(answers), list[int]()
    echoes = SimpleNamespace(send=lambda _: None, answer=lambda _: 1 if next(heard) == "y" else None)
    monkeypatch.setattr(vpn_watch, "Echoes", lambda *_, **__: echoes)
    monkeypatch.setattr(vpn_watch, "whack", lambda *_, **__: traffic)
    monkeypatch.setattr(vpn_watch, "probe", lambda *_: "silent")
    watch = vpn_watch.Watch(gateway, gateway.peers[0])
    for look in range(1, len(answers) + 1):
        monkeypatch.setattr(vpn_watch, "act", lambda *_, look=look: found.append(look))
        watch.look()
    return found


@pytest.mark.parametrize("unused", [UNUSED, GONE])
def test_an_sa_beside_one_that_carries_packets_has_another_asked_for_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused: str
) -> None:
    assert asked(monkeypatch, tmp_path, f"{USED}\n{unused}", answers="y" * 60) == [5]


def test_after_an_outage_the_sas_are_looked_at_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = "n" + "y" * 10 + "n" + "y" * 10
    assert asked(monkeypatch, tmp_path, f"{USED}\n{UNUSED}", answers=answers) == [6, 17]


@pytest.mark.parametrize("traffic", [USED, f"{USED}\n{IDLE_RANGE}", ""])
def test_nothing_is_asked_for_when_all_sas_of_the_echoes_carry_packets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, traffic: str
) -> None:
    assert asked(monkeypatch, tmp_path, traffic, answers="y" * 60) == []


def test_nothing_is_asked_for_before_the_tunnel_has_carried_packets_for_some_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert asked(monkeypatch, tmp_path, f"{USED}\n{UNUSED}", answers="yyyyn" * 5) == []
