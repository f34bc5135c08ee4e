"""When vpn-watch asks for other SAs because packets come for SAs that are not here: counts over simulated time.

Does not prove that the kernel counts so, nor that asking helps (tests/lab/test_consumer.py).
"""

from itertools import pairwise

from healing import CALM, GRACE, STRAYS, Strays


def _asked(counts: list[int]) -> list[int]:
    """Return at which of some looks, one a second, other SAs are asked for."""
    strays = Strays()
    return [second for second, count in enumerate(counts) if strays.judge(float(second), count)]


def test_packets_for_sas_that_are_not_here_have_others_asked_for_within_three_looks() -> None:
    assert _asked([0, 0, 0, 5, 9, 12, 12, 12]) == [5]


def test_packets_that_come_seldom_count_too() -> None:
    seconds = round(CALM)
    assert _asked([1 + second // seconds for second in range(60)])[0] == seconds * (STRAYS - 1)


def test_rekeys_that_each_make_strays_for_a_moment_are_left_alone() -> None:
    rekey = [0] * 60 + [3, 4] + [4] * round(CALM)
    assert _asked([count + 4 * n for n in range(30) for count in rekey]) == []


def test_strays_that_nothing_helps_against_have_others_asked_for_ever_more_seldom() -> None:
    asked = _asked(list(range(1, 24 * 3600)))
    assert [late - early for early, late in pairwise(asked)][:3] == [GRACE, 2 * GRACE, 4 * GRACE]
    assert len(asked) < 40
    assert len([moment for moment in asked if moment > 12 * 3600]) <= 13


def test_strays_after_an_hour_that_needed_nothing_are_as_the_first() -> None:
    trouble, more = list(range(1, 1000)), list(range(1000, 2000))
    quiet = [999] * (2 * 3600)
    first, again = _asked(trouble), _asked(trouble + quiet + more)[len(_asked(trouble)) :]
    assert again == [moment + len(trouble) + len(quiet) for moment in first]
