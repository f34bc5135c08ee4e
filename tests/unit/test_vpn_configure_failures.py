"""Runs of vpn-configure that fail or are killed: what they say, and what they leave."""

from pathlib import Path

import pytest

from tests.unit.configured_gateway import AT, FILES, OTHER, ROUTES, RULES, SECRET, TWO, Gateway, booted, listed
from vpn_configure.files import BEFORE
from vpn_configure.machine import Done


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return booted(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("start", "texts", "message"),
    [
        ("sh -n", {"filter": "#!/bin/sh\nif then\n"}, "/usr/local/sbin/vpn-filter: sh: {stage}/usr/x: 2: syntax"),
        ("addconn --checkconfig", {"conf": TWO}, "/etc/ipsec.d/vpn.conf: addconn: {stage}/usr/x: 2: syntax"),
        ("ipsec algparse", {"conf": TWO}, "/etc/ipsec.d/vpn.conf: ipsec: {stage}/usr/x: 2: syntax"),
        ("iptables-restore", {"rules": RULES}, "/etc/vpn-gateway/filter.rules: iptables-restore: {stage}"),
        ("sshd -t", {"sshd": "# x\n"}, "vpn-gateway.conf: sshd: {stage}/usr/x: 2: syntax"),
        ("systemd-analyze", {"watch": "# x\n"}, "vpn-watch.service: systemd-analyze: {stage}/usr/x: 2: s"),
    ],
)
def test_what_a_tool_refuses_is_named_by_its_own_path_and_nothing_changes(
    gateway: Gateway, start: str, texts: dict[str, str], message: str
) -> None:
    before = {path: gateway.machine.file(path) for path in FILES}
    stage = f"{gateway.machine.root}/var/lib/vpn-gateway/stage/tree"
    gateway.refused[start] = Done(1, f"{stage}/usr/x: 2: syntax")
    said = gateway.refuse(listed("r2", **texts))
    assert said.startswith("refused, and nothing has changed:\n")
    assert message.format(stage="") in said
    assert {path: gateway.machine.file(path) for path in FILES} == before
    assert (gateway.deployed, gateway.did()) == ("", [])
    assert sorted(path.name for path in gateway.machine.place("/var/lib/vpn-gateway").iterdir()) == [
        "boot",
        "desired.json",
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"rules": "*filter\nCOMMIT\n"}, "filter.rules: does not end with `# end`"),
        ({"gateway": "{"}, "gateway.json: Expecting property name"),
        ({"healing": "import os\nif\n"}, "/usr/local/lib/vpn-gateway/healing.py:2: invalid syntax"),
        ({"program": "#!/usr/bin/python3\n(\n"}, "/usr/local/sbin/vpn-secrets:2: '(' was never closed"),
    ],
)
def test_what_needs_no_tool_is_checked_too(gateway: Gateway, texts: dict[str, str], message: str) -> None:
    assert message in gateway.refuse(listed("r2", **texts))
    assert gateway.did() == []


def test_a_warning_of_libreswan_about_a_keyword_is_a_refusal(gateway: Gateway) -> None:
    gateway.refused["addconn --checkconfig"] = Done(0, "warning: invalid, keyword ignored: narrowing=maybe")
    assert "narrowing=maybe" in gateway.refuse(listed("r2", conf=TWO))


STEPS = (
    *("systemctl daemon-reload", "systemctl reload-or-restart", "systemctl restart vpn-sysctl"),
    *("systemctl reload ssh", "addconn --config", "whack --route", "systemctl restart vpn-watch"),
)


def everything() -> str:
    """Return a list in which something of every step differs."""
    more = {name: FILES[AT[name]].text + "# more\n" for name in ("healing", "sshd", "sysctl")}
    secrets = FILES[AT["secrets"]].text.replace("psk:1", "psk:2")
    return listed("r2", secrets=secrets, conf=TWO, routes=ROUTES, rules=RULES, **more)


@pytest.mark.parametrize("failing", STEPS)
def test_a_step_that_fails_takes_everything_back_also_the_secrets(gateway: Gateway, failing: str) -> None:
    gateway.configure(listed("r1"))
    gateway.react["vpn-secrets"] = gateway.bring_key
    before = {path: gateway.machine.file(path) for path in (*FILES, SECRET)}
    gateway.failing[failing] = Done(7, "no reason at all")
    said = gateway.refuse(everything())
    assert said.endswith("\nThe change was taken back: the gateway runs as before.")
    assert "no reason at all" in said.splitlines()[0]
    assert {path: gateway.machine.file(path) for path in (*FILES, SECRET)} == before
    assert gateway.pluto == {"uk-to-au": True}
    assert gateway.deployed == "r1"
    assert not gateway.machine.place(BEFORE).exists()


def test_what_was_not_tried_is_not_reloaded_when_a_change_is_taken_back(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    gateway.failing["systemctl reload-or-restart"] = Done(1, "no")
    gateway.refuse(everything())
    assert gateway.did() == [
        "vpn-secrets",
        "systemctl daemon-reload",
        "systemctl reload-or-restart vpn-filter",
        "systemctl daemon-reload",
        "systemctl reload-or-restart vpn-filter",
    ]


def test_what_cannot_be_taken_back_is_said_and_the_next_run_takes_all_steps_again(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    gateway.refused["systemctl restart vpn-sysctl"] = Done(1, "no")
    said = gateway.refuse(listed("r2", routes=ROUTES))
    assert said.splitlines()[:2] == [
        "systemctl restart vpn-sysctl fails with 1: no",
        "Not all of it could be taken back: systemctl restart vpn-sysctl fails with 1: no",
    ]
    gateway.refused.clear()
    assert gateway.configure(listed("r2", routes=ROUTES))[-1] == "revision r2"
    assert gateway.did() == ["systemctl restart vpn-sysctl"]


def test_a_run_that_was_killed_after_its_commit_is_made_up_for_by_the_next(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    with gateway.killed_at("systemctl restart vpn-sysctl"):
        gateway.configure(listed("r2", routes=ROUTES, conf=TWO))
    assert gateway.configure(listed("r1"))[-1] == "revision r1"
    assert (gateway.text("routes"), gateway.pluto) == (FILES["/etc/vpn-gateway/routes"].text, {"uk-to-au": True})
    assert gateway.deployed == "r1"


def test_what_a_killed_run_added_is_removed_when_it_is_not_desired(gateway: Gateway) -> None:
    gateway.machine.place(AT["watch"]).unlink()
    gateway.configure(listed("r1", watch=None))
    with gateway.killed_at("systemctl daemon-reload"):
        gateway.configure(listed("r2"))
    gateway.configure(listed("r1", watch=None))
    assert not gateway.machine.place(AT["watch"]).exists()


def test_a_run_that_was_killed_goes_on_with_the_same_list(gateway: Gateway) -> None:
    gateway.configure(listed("r1"))
    with gateway.killed_at("systemctl restart vpn-sysctl"):
        gateway.configure(listed("r2", routes=ROUTES, conf=TWO))
    assert gateway.configure(listed("r2", routes=ROUTES, conf=TWO))[-1] == "revision r2"
    assert "systemctl restart vpn-sysctl" in gateway.did()
    assert gateway.pluto == {"uk-to-au": True, OTHER: True}
    assert not gateway.machine.place(BEFORE).exists()
