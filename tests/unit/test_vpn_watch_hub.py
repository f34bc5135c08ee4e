"""vpn-watch on a hub: several tunnels over simulated time, each in the thread that it has on a gateway.

Proves that dead peers change nothing about what is done to a live tunnel. Does not prove what Libreswan makes of it.
"""

import json
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import expectations
import vpn_watch
from tests.unit.gateway_documents import gateway_document, installed_files


class Over(BaseException):
    """The simulated time is up."""


class Clock:
    """Simulated time for threads: one runs, until it sleeps; then the one whose sleep ends first."""

    def __init__(self, end: float) -> None:
        self.now, self.end = 0.0, end
        self.sleepers: list[tuple[float, int, threading.Lock]] = []
        self.number = 0

    def turn(self, seconds: float) -> threading.Lock:
        """Return a lock that is held for so long: who wants to wait acquires it."""
        self.number += 1
        wake = threading.Lock()
        wake.acquire()
        heappush(self.sleepers, (self.now + seconds, self.number, wake))
        return wake

    def sleep(self, seconds: float) -> None:
        """Let others run so long. Raises Over when the time is up."""
        wake = self.turn(seconds)
        self.pass_on()
        wake.acquire()
        if self.now >= self.end:
            raise Over

    def pass_on(self) -> None:
        """Wake the next one."""
        if self.sleepers:
            self.now, _, wake = heappop(self.sleepers)
            wake.release()


class Hub:
    """A gateway's vpn-watch: a live peer whose echoes are lost at times, and peers that are dead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, *, dead: int, loss: float, hours: float) -> None:
        self.clock = Clock(hours * 3600)
        self.loss, self.chance = loss, random.Random(7)  # noqa: S311 - no secret
        self.steps: list[tuple[float, str]] = []
        self.threads: list[threading.Thread] = []
        expected = json.loads(installed_files(gateway_document())[expectations.PATH])
        (live,) = expected["peers"]
        others = [
            {**live, "connection": f"uk-to-{n}", "public_ip": f"192.0.2.{n}", "private_ip": f"10.{n}.0.4"}
            for n in range(1, dead + 1)
        ]
        self.live = live
        (folder / "expected").write_text(json.dumps({**expected, "peers": [*others, live]}))
        monkeypatch.setattr("random.uniform", lambda *_: 1.25)
        monkeypatch.setattr(vpn_watch, "load", lambda: expectations.load(str(folder / "expected")))
        monkeypatch.setattr(vpn_watch, "Echoes", self.echoes)
        monkeypatch.setattr(vpn_watch, "probe", self.probe)
        monkeypatch.setattr(vpn_watch, "whack", self.whack)
        monkeypatch.setattr(vpn_watch, "initiate", lambda name: self.whack("--initiate", name) is not None)
        monkeypatch.setattr(vpn_watch, "threading", SimpleNamespace(Thread=self.thread))
        time = SimpleNamespace(monotonic=lambda: self.clock.now, sleep=self.clock.sleep)
        monkeypatch.setattr(vpn_watch, "time", time)

    def thread(self, target: Callable[[], None], daemon: bool) -> Any:
        """Return a thread that waits for its turn before it begins."""
        turn, ended = self.clock.turn(0), threading.Event()

        def run() -> None:
            turn.acquire()
            try:
                with suppress(Over):
                    target()
            finally:
                ended.set()
                self.clock.pass_on()

        self.threads.append(threading.Thread(target=run, daemon=daemon))
        return SimpleNamespace(start=self.threads[-1].start, is_alive=lambda: not ended.is_set())

    def echoes(self, _: str, target: str, *, only_target: bool) -> Any:
        """Return echoes that are lost by chance, or all of them."""
        assert only_target

        def answer(deadline: float) -> int | None:
            lost = target != self.live["private_ip"] or self.chance.random() < self.loss
            self.clock.sleep(deadline - self.clock.now if lost else 0.05)
            return None if lost else 1

        return SimpleNamespace(send=lambda _: None, answer=answer)

    def probe(self, address: str, _: int) -> str:
        """Answer as the live peer, or not."""
        lives = address == self.live["public_ip"]
        self.clock.sleep(0.05 if lives else 1.0)
        return "answers" if lives else "silent"

    def whack(self, *arguments: str, **_: float) -> str:
        """Show the live peer's SA, which no bytes come by; note what else is asked for it."""
        name = self.live["connection"]
        if arguments == ("--trafficstatus",):
            return f'#2: "{name}", type=ESP, inBytes=84, outBytes=84'
        if arguments[-1] == name:
            self.steps.append((self.clock.now, arguments[0]))
        return ""

    def run(self) -> list[tuple[float, str]]:
        """Return what is done to the live peer's tunnel."""
        with pytest.raises(Over):
            vpn_watch.main()
        self.close()
        return self.steps

    def close(self) -> None:
        """End the threads that still sleep."""
        self.clock.end = self.clock.now
        self.clock.pass_on()
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize(("loss", "hours"), [(0.01, 1.0), (0.1, 0.5)])
def test_a_hub_with_dead_peers_judges_its_live_one_as_if_it_were_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loss: float, hours: float
) -> None:
    alone = Hub(monkeypatch, tmp_path, dead=0, loss=loss, hours=hours).run()
    among = Hub(monkeypatch, tmp_path, dead=5, loss=loss, hours=hours).run()
    assert among == alone
    assert bool(alone) == (loss > 0.01)


def test_a_watch_of_one_tunnel_that_fails_ends_all_so_that_they_are_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = Hub(monkeypatch, tmp_path, dead=1, loss=0.0, hours=1.0)

    def fail(*_: Any) -> str:
        raise Over

    monkeypatch.setattr(vpn_watch, "probe", fail)
    with pytest.raises(SystemExit):
        vpn_watch.main()
    assert hub.clock.now < 5
    hub.close()
