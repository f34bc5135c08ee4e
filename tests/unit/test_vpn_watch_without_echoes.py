"""vpn-watch and a peer whose private address is unknown: it judges the tunnel by SAs and counters, and sends no echo.

Proves when it acts, and how hard: looks, one a second. Does not prove what Libreswan makes of it (tests/scenarios).
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import expectations
import vpn_watch
from healing import GRACE, PATIENCE
from tests.unit.gateway_documents import gateway_document, installed_files

IDLE = '#2: "uk-to-au", type=ESP, inBytes=0, outBytes=0'
LOST = '#2: "uk-to-au", type=ESP'
OTHER_RANGE = '#3: "uk-to-au/10.1.0.0/16=10.20.0.0/16", type=ESP, inBytes=0, outBytes=0'
DAY = 24 * 3600


class Watched:
    """A tunnel: what pluto and the kernel say of it, whether the peer's daemon answers, and what the watch did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.now, self.strays = 0.0, 0
        self.sas: str | None = ""
        self.answers, self.probes = "answers", 0
        self.steps: list[tuple[float, str]] = []
        path = folder / "gateway.json"
        path.write_text(installed_files(gateway_document())[expectations.PATH])
        gateway = expectations.load(str(path))
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("random.uniform", lambda *_: 1.25)
        monkeypatch.setattr(vpn_watch, "time", clock)
        monkeypatch.setattr(vpn_watch, "Echoes", pytest.fail)
        monkeypatch.setattr(vpn_watch, "whack", lambda *_, **__: self.sas)
        monkeypatch.setattr(vpn_watch, "probe", self.probe)
        monkeypatch.setattr(vpn_watch, "strays", lambda: self.strays)
        monkeypatch.setattr(vpn_watch, "act", self.act)
        self.watch = vpn_watch.Watch(gateway, gateway.peers[0]._replace(private_ip=""))

    def probe(self, _address: str, _port: int) -> str:
        """Answer as the peer, and count."""
        self.probes += 1
        return self.answers

    def act(self, names: list[str], step: str) -> bool:
        """Note a step."""
        assert names == ["uk-to-au"]
        self.steps.append((self.now, step))
        return True

    def run(self, seconds: float, sas: str | None, each: Callable[[], None] = lambda: None) -> list[str]:
        """Let time pass while pluto says this; return the steps of it."""
        before, self.sas = len(self.steps), sas
        for _ in range(round(seconds)):
            self.now += 1
            each()
            self.watch.look()
        return [step for _, step in self.steps[before:]]


@pytest.fixture
def tunnel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Watched:
    return Watched(monkeypatch, tmp_path)


def test_an_idle_tunnel_is_left_alone_for_ever_and_its_peer_is_not_probed(tunnel: Watched) -> None:
    assert tunnel.run(DAY, IDLE) == []
    assert tunnel.probes == 0


def test_an_sa_that_is_missing_while_the_peer_authenticates_again_is_not_asked_for(tunnel: Watched) -> None:
    for _ in range(100):
        assert tunnel.run(60, IDLE) == []
        assert tunnel.run(PATIENCE - 1, "") == []


def test_an_sa_that_stays_missing_is_asked_for_after_some_seconds(tunnel: Watched) -> None:
    tunnel.run(60, IDLE)
    tunnel.run(60, "")
    assert tunnel.steps[0] == (60 + PATIENCE, "initiate")


def test_a_tunnel_that_was_never_up_is_asked_for(tunnel: Watched) -> None:
    assert tunnel.run(PATIENCE, "") == ["initiate"]


def test_a_peer_that_gives_no_sa_is_asked_again_but_not_in_a_storm(tunnel: Watched) -> None:
    tunnel.run(3600, "")
    assert 3600 / 60 <= len(tunnel.steps) <= 3600 / 29
    assert tunnel.steps[1][0] - tunnel.steps[0][0] >= GRACE


def test_a_peer_whose_ike_daemon_is_silent_is_not_asked(tunnel: Watched) -> None:
    tunnel.run(60, IDLE)
    tunnel.answers = "silent"
    assert tunnel.run(3600, "") == []
    tunnel.answers = "answers"
    # It may begin by itself.
    assert tunnel.run(PATIENCE, "") == []
    assert len(tunnel.run(2 * GRACE, "")) == 1


@pytest.mark.parametrize("sas", [OTHER_RANGE, f"{LOST}\n{OTHER_RANGE}"])
def test_nothing_is_dropped_while_an_sa_of_any_range_stands(tunnel: Watched, sas: str) -> None:
    assert tunnel.run(DAY, sas) == []


def test_an_sa_that_the_kernel_has_lost_does_not_count(tunnel: Watched) -> None:
    tunnel.run(60, IDLE)
    assert tunnel.run(60, LOST)[0] == "initiate"


def test_packets_for_sas_that_are_not_here_have_others_asked_for(tunnel: Watched) -> None:
    tunnel.run(60, IDLE)

    def stray() -> None:
        tunnel.strays += 1

    assert tunnel.run(3, IDLE, stray) == ["initiate"]


def test_without_pluto_nothing_is_asked_for_and_a_pluto_that_is_back_is(tunnel: Watched) -> None:
    tunnel.run(60, IDLE)
    assert tunnel.run(60, None) == []
    assert tunnel.run(1, "") == ["initiate"]


def test_the_journal_does_not_say_that_packets_cross(tunnel: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    tunnel.run(60, IDLE)
    tunnel.run(4, "")
    tunnel.run(60, IDLE)
    assert capsys.readouterr().out.splitlines() == [
        "tunnel uk-to-au: silent, the peer's IKE daemon answers: asking for other SAs",
        "tunnel uk-to-au: is up again after 5 s",
    ]
