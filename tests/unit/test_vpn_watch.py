"""vpn-watch's decisions over simulated time, on a model of two gateways (watched_pair).

Proves when it acts, how hard, and that it stops. Does not prove what Libreswan makes of it (tests/scenarios).
"""

import pytest

from healing import GRACE, PATIENCE, Tunnel
from tests.unit.watched_pair import DPD, HANDSHAKE, Sa, World


@pytest.fixture(autouse=True, params=[1.0, 1.5])
def _chance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda *_: request.param)


def test_nothing_is_done_while_echoes_are_answered() -> None:
    world = World()
    world.run(1800)
    assert world.steps() == []


@pytest.mark.parametrize("seconds", [2, 10, 30, 60, 600])
@pytest.mark.parametrize("dpd", [True, False])
def test_traffic_flows_within_five_seconds_of_a_partitions_end(seconds: int, dpd: bool) -> None:
    world = World()
    world.dpd = dpd
    world.run(20)
    world.path = False
    world.run(seconds)
    assert world.steps() == []
    world.path = True
    ended = world.now
    world.run(120)
    assert world.outage(ended) <= 5
    if seconds < DPD or not dpd:
        assert world.steps() == []


def test_a_partition_after_which_only_one_side_has_its_sas_heals_as_fast() -> None:
    for forgetful in ("uk", "au"):
        world = World()
        world.dpd = False
        world.path = False
        world.run(60)
        world.drop(getattr(world, forgetful))
        world.path = True
        ended = world.now
        world.run(120)
        assert world.outage(ended) <= 5, forgetful


@pytest.mark.parametrize("side", ["uk", "au"])
@pytest.mark.parametrize("direction", ["receives", "sends"])
def test_one_lost_direction_heals_in_seconds_and_takes_nothing_down(side: str, direction: str) -> None:
    world = World()
    world.run(20)
    setattr(getattr(world, side).sas[1], direction, False)
    began = world.now
    world.run(60)
    assert world.outage(began) <= PATIENCE + HANDSHAKE + 2
    assert set(world.steps()) == {"initiate"}


def test_a_rekey_with_a_second_of_silence_is_left_alone() -> None:
    world = World()
    for _ in range(15):
        world.run(118)
        old = dict(world.uk.sas)
        for sa in (*world.uk.sas.values(), *world.au.sas.values()):
            sa.sends = False
        world.run(2)
        world.establish(1)
        for number in old:
            del world.uk.sas[number], world.au.sas[number]
    assert world.steps() == []


@pytest.mark.parametrize("dead", ["uk", "au"])
@pytest.mark.parametrize("seconds", [2, 20, 90])
def test_a_peer_that_was_away_and_has_forgotten_everything_is_met_within_ten_seconds(dead: str, seconds: int) -> None:
    world = World()
    world.run(20)
    side = getattr(world, dead)
    world.drop(side)
    side.pluto = False
    world.run(seconds)
    side.pluto = True
    began = world.now
    world.run(60)
    assert world.outage(began) <= 10


@pytest.mark.parametrize("dead", ["uk", "au"])
def test_a_peer_that_was_away_begins_by_itself_so_that_two_negotiations_do_not_cross(dead: str) -> None:
    world = World()
    world.run(20)
    side = getattr(world, dead)
    # The other side's daemon has given its SAs up.
    world.drop(world.uk)
    world.drop(world.au)
    side.pluto = False
    world.run(90)
    side.pluto = True
    began = world.now
    world.run(60)
    assert "reset" not in world.steps()
    assert world.outage(began) <= 5


@pytest.mark.parametrize("dead", ["uk", "au"])
def test_a_forgetful_peer_without_a_watch_of_its_own_is_met_too(dead: str) -> None:
    world = World()
    world.run(20)
    side = getattr(world, dead)
    side.watched = False
    world.drop(side)
    world.run(60)
    assert world.outage(20) <= PATIENCE + 2 * GRACE + HANDSHAKE + 2
    assert world.steps() == ["initiate", "reset"]


def test_two_sides_with_different_stale_sas_do_not_fight() -> None:
    world = World()
    world.run(20)
    world.drop(world.uk)
    world.drop(world.au)
    world.last = 8
    world.uk.sas[7], world.uk.ikes = Sa(7), {7}
    world.au.sas[8], world.au.ikes = Sa(8), {8}
    world.run(300)
    assert world.outage(20) <= 10
    assert world.steps().count("reset") == 1


def test_the_first_boot_initiates_at_once_on_either_side() -> None:
    for late in ("uk", "au"):
        world = World(established=False)
        getattr(world, late).pluto = False
        world.run(30)
        getattr(world, late).pluto = True
        began = world.now
        world.run(60)
        assert world.outage(began) <= 5, late


@pytest.mark.parametrize("deaf", ["uk", "au"])
def test_first_sas_that_only_one_side_has_are_replaced_though_no_echo_was_ever_answered(deaf: str) -> None:
    world = World(established=False)
    world.second()
    assert world.steps() == ["initiate", "initiate"]
    world.pending.clear()
    world.establish()
    getattr(world, deaf).sas[1].receives = False
    began = world.now
    world.run(120)
    assert world.outage(began) <= 2 * GRACE + HANDSHAKE + 2
    assert set(world.steps()) == {"initiate"}


def test_first_ike_sas_that_differ_between_the_sides_are_dropped_within_seconds() -> None:
    world = World(established=False)
    world.second()
    world.pending.clear()
    world.last = 8
    world.uk.sas[7], world.uk.ikes = Sa(7), {7}
    world.au.sas[8], world.au.ikes = Sa(8), {8}
    began = world.now
    world.run(120)
    assert world.outage(began) <= PATIENCE + 2 * GRACE + HANDSHAKE + 2
    assert world.steps().count("reset") == 1


def test_the_peer_of_another_vendor_that_never_answers_echoes_or_sends_is_asked_ever_more_seldom() -> None:
    world = World()
    world.au.watched = world.au.pings = False
    world.run(24 * 3600)
    # Nothing ever came in, so these SAs may be ones that the peer does not have.
    assert world.steps()[0] == "initiate"
    assert world.steps().count("reset") == 2
    assert len(world.steps()) < 40
    assert len([moment for moment, _ in world.uk.steps if moment > 12 * 3600]) <= 13


def test_the_peer_of_another_vendor_that_answers_no_echo_but_has_sent_is_never_taken_down() -> None:
    world = World()
    world.au.watched = world.au.pings = False
    world.uk.sas[1].inward = 84
    world.run(24 * 3600)
    assert set(world.steps()) == {"initiate"}
    assert 1 in world.uk.sas


def test_a_tunnel_that_carries_packets_is_left_alone_though_echoes_are_no_longer_answered() -> None:
    world = World()
    world.au.watched = False
    world.run(60)
    world.au.pings = False
    for _ in range(3600):
        world.deliver(world.au)
        world.second()
    assert world.steps() == []


def test_an_idle_peer_that_no_longer_answers_echoes_is_taken_down_ever_more_seldom() -> None:
    world = World()
    world.au.watched = False
    world.run(60)
    world.au.pings = False
    world.run(24 * 3600)
    assert world.steps().count("reset") < 40
    assert len([moment for moment, _ in world.uk.steps if moment > 12 * 3600]) <= 13


def test_negotiations_that_fail_are_repeated_but_not_in_a_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(established=False)
    monkeypatch.setattr(world, "initiate", lambda _: None)
    world.run(3600)
    assert 2 * 3600 / 51 <= len(world.steps()) <= 2 * 3600 / 29
    assert world.uk.asked + world.au.asked == len(world.steps())


def test_a_step_that_pluto_could_not_take_yet_is_taken_a_second_later() -> None:
    tunnel = Tunnel("uk-to-au", False, 0.0)
    for second in range(1, 9):
        assert tunnel.judge(second, {}, lambda: True) == "initiate"
        tunnel.undo()


def test_the_peer_is_not_asked_before_it_matters() -> None:
    tunnel = Tunnel("uk-to-au", True, 0.0)
    tunnel.answer(10.0)
    for second in (11.0, 12.0):
        assert tunnel.judge(second, {"#2": 84}, pytest.fail) == ""


def test_only_changes_are_told_to_the_journal(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.au.watched = False
    world.run(20)
    world.path = False
    world.run(60)
    world.path = True
    world.run(20)
    assert capsys.readouterr().out.splitlines() == [
        "tunnel uk-to-au: silent, and so is the peer's IKE daemon",
        "tunnel uk-to-au: is up again after 63 s",
    ]


def test_sas_that_stand_after_a_partition_get_the_time_of_an_echo() -> None:
    tunnel = Tunnel("uk-to-au", True, 0.0)
    tunnel.answer(5.0)
    assert tunnel.judge(10.0, {"#2": 84}, lambda: False) == ""
    steps = [tunnel.judge(moment, {"#2": 84}, lambda: True) for moment in (11.0, 12.0, 13.0, 14.0)]
    assert steps == ["", "", "", "reset"]


def test_bytes_that_come_in_count_though_no_echo_is_answered() -> None:
    tunnel = Tunnel("uk-to-au", True, 0.0)
    assert [tunnel.judge(float(n), {"#2": n}, pytest.fail) for n in range(1, 60)] == [""] * 59


def test_an_sa_that_has_just_come_is_not_taken_down_by_a_step_that_was_due() -> None:
    tunnel = Tunnel("uk-to-au", True, 0.0)
    tunnel.answer(5.0)
    assert tunnel.judge(6.0, {}, lambda: True) == "initiate"
    assert [tunnel.judge(moment, {}, lambda: True) for moment in (7.0, 8.0, 9.0, 10.0)] == [""] * 4
    assert [tunnel.judge(moment, {"#2": 0}, pytest.fail) for moment in (11.0, 12.0, 13.0)] == [""] * 3
    assert tunnel.judge(14.0, {"#2": 0}, lambda: True) == "reset"


def test_packets_between_other_ranges_do_not_hide_that_the_echoes_own_sa_is_dead_and_are_not_cut_off() -> None:
    tunnel = Tunnel("uk-to-au", True, 0.0)
    tunnel.answer(10.0)
    sas = [{"#2": 84, "/10.1.0.0/16=10.20.0.0/16#3": n} for n in range(600)]
    steps = [(n, tunnel.judge(float(n), sas[n], lambda: True)) for n in range(11, 600)]
    asked = [(n, step) for n, step in steps if step]
    assert asked[0] == (10 + PATIENCE, "initiate")
    assert {step for _, step in asked} == {"initiate"}
    assert 3 < len(asked) < 10


def test_a_range_that_has_become_idle_does_not_keep_a_dead_tunnel_from_being_taken_down() -> None:
    tunnel = Tunnel("uk-to-au", True, 0.0)
    tunnel.answer(10.0)
    sas = {"#2": 84, "/10.1.0.0/16=10.20.0.0/16#3": 168}
    steps = [tunnel.judge(float(n), sas, lambda: True) for n in range(11, 60)]
    assert [step for step in steps if step][:2] == ["initiate", "reset"]
