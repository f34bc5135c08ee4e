"""Windows for updates: their times, which arguments are refused, and which files the gateways of a pair get.

Does not prove what the files do on a gateway (test_vpn_updates.py, tests/tools).
"""

import json
from typing import Any

import pytest

from components import VpnGateway
from components.decisions.updates import later, update_times, windows_overlap
from components.inputs.problems import SettingsError
from components.inputs.settings import gateway_settings, pair_settings
from components.resources.configuration import NEXT
from components.resources.remote_commands import installed_files
from components.user_data import update_files
from tests.unit.gateway_documents import HOST_KEY
from tests.unit.recording import Deployment, Recorder, deploy_pair
from tests.unit.test_arguments import GATEWAY
from tests.unit.test_user_data import tree


def test_the_times_of_a_window_lie_in_it_also_across_midnight() -> None:
    times = update_times("23:15")
    assert (times.begin, times.upgrade, times.looks, times.end) == (
        "23:15",
        "23:20",
        ("23:45", "00:15", "00:45"),
        "01:15",
    )


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("02:00", "02:00", True),
        ("02:00", "03:59", True),
        ("02:00", "04:00", False),
        ("02:00", "00:01", True),
        ("02:00", "00:00", False),
        ("23:00", "00:59", True),
        ("23:00", "01:00", False),
    ],
)
def test_windows_of_two_hours_overlap_or_do_not(one: str, other: str, overlap: bool) -> None:
    assert windows_overlap(one, other) == windows_overlap(other, one) == overlap


def test_a_time_after_midnight_is_one_of_the_next_day() -> None:
    assert (later("23:59", 1), later("02:05", 120), later("00:00", 1440)) == ("00:00", "04:05", "00:00")


BOTH = {"left": "02:00", "right": "04:00"}


def with_windows(article: dict[str, Any], windows: dict[str, Any], **changes: Any) -> Any:
    sides = {side: {**article[side], "update_window": window} for side, window in windows.items()}
    return {**article, **sides, **changes}


def test_each_side_of_a_pair_has_its_window(article: dict[str, Any]) -> None:
    settings = pair_settings("vpn", with_windows(article, BOTH))
    assert (settings.left.update_window, settings.right.update_window) == ("02:00", "04:00")
    plain: Any = article
    assert pair_settings("vpn", plain).left.update_window is None


@pytest.mark.parametrize(
    ("windows", "changes", "expected"),
    [
        (
            {"left": "02:00", "right": "03:00"},
            {},
            [
                "right.update_window '03:00': overlaps the other side's, which is the two hours from 02:00; choose a "
                "time at least two hours from it, e.g. 04:00"
            ],
        ),
        (
            {"left": "02:00"},
            {},
            [
                "right.update_window '': is required: the other side has a window; give both sides one, or neither",
            ],
        ),
        (
            {"right": "02:00"},
            {},
            ["left.update_window '': is required: the other side has a window; give both sides one, or neither"],
        ),
        (
            BOTH,
            {"verify": False},
            [
                f"{side}.update_window '{time}': needs SSH: its files do not fit into the user data, and `verify` is "
                "false; set `verify` to true, or leave the windows of both sides out"
                for side, time in BOTH.items()
            ],
        ),
        (
            {"left": "2 am", "right": "04:00"},
            {},
            [
                "left.update_window '2 am': does not match ([01][0-9]|2[0-3]):[0-5][0-9]; use hours and minutes, "
                'e.g. "02:00"'
            ],
        ),
        # What YAML 1.1 makes of 02:00 without quotes.
        ({"left": 120, "right": "04:00"}, {}, ["left.update_window 'int': is not text; use hours and minutes, e.g."]),
    ],
)
def test_windows_that_cannot_be_are_named_with_value_rule_and_remedy(
    article: dict[str, Any], windows: dict[str, Any], changes: dict[str, Any], expected: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        pair_settings("vpn", with_windows(article, windows, **changes))
    problems = [str(problem) for problem in caught.value.problems]
    assert len(problems) == len(expected), problems
    for problem, beginning in zip(problems, expected, strict=True):
        assert problem.startswith(beginning)


def test_a_gateway_alone_has_a_window_if_something_can_bring_its_files() -> None:
    alone: Any = {**GATEWAY, "update_window": "02:00"}
    with pytest.raises(SettingsError) as caught:
        gateway_settings("vpn", alone)
    (problem,) = caught.value.problems
    assert str(problem) == (
        "update_window '02:00': needs SSH: its files do not fit into the user data, and without `ssh_private_key` "
        "nothing brings them; give `ssh_private_key`, or leave the window out"
    )
    alone |= {"ssh_private_key": HOST_KEY, "administrator_cidr_blocks": ["192.0.2.1/32"]}
    assert gateway_settings("vpn", alone).site.update_window == "02:00"


LIBRARY = ("expectations", "icmp", "ike_probe", "metadata", "pluto")
"""The gateway's modules, which a gateway without peers does not have."""


def test_the_files_are_those_of_the_tree_with_the_modes_that_git_has() -> None:
    modes = {path: mode & 0o777 for path, mode in tree("updates").items()}
    library = {f"/usr/local/lib/vpn-updates/{name}.py": 0o644 for name in LIBRARY}
    assert {file.path: file.mode for file in update_files("02:00")} == {**modes, **library}
    assert modes["/usr/local/sbin/vpn-updates"] == 0o755
    assert update_files(None) == ()


UNITS = "/etc/systemd/system"
DROP_IN = "[Timer]\nOnCalendar=\nOnCalendar=*-*-* {}:00 UTC\nRandomizedDelaySec=0\nPersistent=false\n"


def test_debians_timers_run_at_the_windows_begin_and_at_no_other_time() -> None:
    texts = {file.path: file.text for file in update_files("23:30")}
    assert texts[f"{UNITS}/apt-daily.timer.d/vpn-updates.conf"].endswith(DROP_IN.format("23:30"))
    assert texts[f"{UNITS}/apt-daily-upgrade.timer.d/vpn-updates.conf"].endswith(DROP_IN.format("23:35"))
    assert [line for line in texts[f"{UNITS}/vpn-updates.timer"].splitlines() if "=*" in line] == [
        f"OnCalendar=*-*-* {time}:00 UTC" for time in ("00:00", "00:30", "01:00")
    ]
    assert json.loads(texts["/etc/vpn-gateway/updates.json"]) == {"begin": "23:30", "end": "01:30"}


def coming(recorder: Recorder, prefix: str) -> dict[str, str]:
    """Return path -> text of what vpn-configure brings."""
    written = installed_files(recorder.named(f"{prefix}-prepare").inputs["stdin"])
    (text,) = [file.text for file in written if file.path == NEXT]
    return {each["path"]: each["text"] for each in json.loads(text)["files"]}


def test_the_two_gateways_of_a_pair_get_the_files_of_their_own_windows(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, with_windows(article, BOTH))
    for name, window in (("uk", "02:00"), ("au", "04:00")):
        wanted = {file.path: file.text for file in update_files(window)}
        assert wanted.items() <= coming(recorder, f"vpn-{name}").items()


def test_without_windows_a_gateway_gets_no_file_of_them(article_pair: Recorder) -> None:
    assert not {file.path for file in update_files("02:00")} & coming(article_pair, "vpn-uk").keys()


def test_a_gateway_alone_gets_them_over_ssh(deployment: Deployment) -> None:
    args: Any = {**GATEWAY, "update_window": "02:00", "ssh_private_key": HOST_KEY}
    args["administrator_cidr_blocks"] = ["192.0.2.1/32"]
    recorder = deployment.run(lambda: VpnGateway("site", args))
    wanted = {file.path: file.text for file in update_files("02:00")}
    assert wanted.items() <= coming(recorder, "site").items()
