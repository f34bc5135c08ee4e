"""Proves what the command that changes a running gateway is, and what a preview says of a change.

Does not prove what vpn-configure does with the files (test_vpn_configure*.py), nor that nothing is lost by it
(tests/scenarios/test_in_place.py). Nothing to clean up.
"""

import json
import subprocess
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.decisions.file_changes import MOST_LINES, change_text
from components.decisions.files import File
from components.decisions.tunnel import TunnelProfile
from components.inputs.arguments import SecretDelivery
from components.resources.announcement import LOGIN_KEY, PROGRAM, compared
from components.resources.configuration import NEXT, coming, configure_script, prepare_script, revision_of
from components.resources.remote_commands import installed_files, installer
from tests.unit.gateway_documents import AUTHORIZED_KEYS, HOST_KEY, OTHER_PUBLIC_KEY, PUBLIC_KEY, files_of, user_data_of
from tests.unit.recording import PSK, Deployment, Recorder, address_of, deploy_pair, public_key_of
from vpn_configure import files

FILES = [File("/etc/one", 0o644, "a\n"), File("/etc/two", 0o755, "ü '\"\\\n")]


def _coming(recorder: Recorder, side: str) -> dict[str, Any]:
    written = installed_files(recorder.named(f"vpn-{side}-prepare").inputs["stdin"])
    (text,) = [file.text for file in written if file.path == NEXT]
    document: dict[str, Any] = json.loads(text)
    return document


KEY_PATH = "/etc/ipsec.d/vpn-key.conf"
SSHD_PATH = "/etc/ssh/sshd_config.d/00-vpn-login.conf"


def test_the_command_carries_the_files_of_the_first_boot_the_one_that_proves_the_key_and_those_of_the_login(
    article_pair: Recorder,
) -> None:
    for side in ("uk", "au"):
        written = files_of(user_data_of(article_pair.named(f"vpn-{side}-gateway").inputs))
        carried = {each["path"]: each["text"] for each in _coming(article_pair, side)["files"]}
        assert f"  leftid=@key.{address_of(f'vpn-{side}-gateway-address')}\n" in carried.pop(KEY_PATH)
        assert carried.pop(AUTHORIZED_KEYS) == public_key_of("vpn-ssh-key") + "\n"
        assert carried.pop(SSHD_PATH).endswith(f"\nAuthorizedKeysFile {AUTHORIZED_KEYS.replace('admin', '%u')}\n")
        assert carried == written


def test_the_prepared_revision_is_applied_and_vpn_verify_demands_it(article_pair: Recorder) -> None:
    for side in ("uk", "au"):
        revision = f"--revision {_coming(article_pair, side)['revision']}"
        for name in (f"vpn-{side}-configure", f"vpn-verify-{side}"):
            assert revision in article_pair.named(name).inputs["create"]


def test_neither_gateway_is_changed_before_both_are_prepared(article_pair: Recorder) -> None:
    for side in ("uk", "au"):
        assert {"vpn-uk-prepare", "vpn-au-prepare"} <= article_pair.named(f"vpn-{side}-configure").depends_on


def test_the_keys_that_log_in_are_the_deployments_own_first_then_the_others_once_each_without_comments(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    more = [f"{PUBLIC_KEY} a colleague", pulumi.Output.from_input(OTHER_PUBLIC_KEY), PUBLIC_KEY]
    keys = {"ssh_private_key": HOST_KEY, "ssh_public_key": PUBLIC_KEY, "ssh_authorized_keys": more}
    coming = _coming(deploy_pair(deployment, article, **keys), "uk")["files"]
    paths = [each["path"] for each in coming]
    # sshd takes the list into account only after it is there.
    assert paths.index(AUTHORIZED_KEYS) < paths.index(SSHD_PATH)
    assert coming[paths.index(AUTHORIZED_KEYS)]["text"] == f"{PUBLIC_KEY}\n{OTHER_PUBLIC_KEY}\n"


def test_a_pair_whose_every_rekey_authenticates_gets_no_second_connection(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, profile=TunnelProfile.ARTICLE_2014)
    assert KEY_PATH not in {each["path"] for each in _coming(recorder, "uk")["files"]}


@pytest.mark.parametrize("name", ["prepare", "configure"])
def test_the_commands_log_in_to_the_gateway_with_its_pinned_key_and_run_again_for_another_instance(
    article_pair: Recorder, name: str
) -> None:
    command = article_pair.named(f"vpn-uk-{name}")
    assert command.inputs["connection"]["host"] == address_of("vpn-uk-gateway-address")
    assert command.inputs["connection"]["hostKey"] == public_key_of("vpn-uk-host-key")
    assert command.inputs["triggers"] == ["vpn-uk-gateway-id"]
    assert command.secrets == {"connection"}
    assert command.parent == "vpn-uk"
    assert command.request.deletedWith.endswith("::vpn-uk-gateway")
    assert "vpn-uk-gateway-ingress-ssh-192.0.2.10-32" in article_pair.named("vpn-uk-prepare").depends_on


def test_secrets_in_the_files_make_the_whole_input_secret(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = deploy_pair(deployment, article, secret_delivery=SecretDelivery.USER_DATA)
    command = recorder.named("vpn-uk-prepare")
    assert PSK in command.inputs["stdin"]
    assert {"stdin", "connection"} <= command.secrets


@pytest.mark.parametrize("changes", [{"verify": False}, {"verify": False, "ssh_public_key": PUBLIC_KEY}])
def test_without_verify_nothing_logs_in_and_the_user_data_counts(
    deployment: Deployment, article: dict[str, Any], changes: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, **changes)
    assert not recorder.of_type("command:remote:Command")
    assert list(recorder.named("vpn-uk-gateway").request.ignoreChanges) == ["sourceDestCheck"]
    assert recorder.named("vpn-uk-user-data")


def test_a_revision_is_that_of_paths_modes_and_texts() -> None:
    other = FILES[1]
    assert revision_of(FILES) == revision_of(list(FILES))
    one = FILES[0]
    changed = [[file, other] for file in (replace(one, path="/x"), replace(one, mode=0o600), replace(one, text="b"))]
    assert len({revision_of(each) for each in [FILES, *changed, FILES[:1]]}) == 5


def test_an_installer_writes_the_files_that_can_be_read_from_it(tmp_path: Path) -> None:
    wanted = [replace(file, path=f"{tmp_path}{file.path}") for file in FILES]
    program = installer(wanted)
    assert installed_files(program) == wanted
    subprocess.run(["python3", "-"], input=program, text=True, check=True)
    for path, mode, text in map(astuple, wanted):
        assert (Path(path).read_text(), Path(path).stat().st_mode & 0o777) == (text, mode)


def test_vpn_configure_looks_where_the_command_writes() -> None:
    assert files.NEXT == NEXT


def test_what_the_gateway_is_to_have_is_roots_alone() -> None:
    path, mode, text = astuple(coming(FILES))
    assert (path, mode) == ("/var/lib/vpn-gateway/next.json", 0o600)
    assert json.loads(text)["revision"] == revision_of(FILES)


@pytest.mark.parametrize(
    ("script", "arguments", "most"),
    [
        (prepare_script(wait=30), "--prepare", 330),
        (configure_script("f00", root_gib=8, wait=30), "--revision f00 --root-volume 8", 630),
    ],
)
@pytest.mark.parametrize("code", [0, 1, 124])
def test_a_vpn_configure_that_fails_or_hangs_fails_the_command(
    tmp_path: Path, code: int, script: str, arguments: str, most: int
) -> None:
    for name, text in (("sudo", 'shift 2\nshift\nexec "$@"'), ("vpn-configure", f"echo $* >&2\nexit {code}")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", f"PATH={tmp_path}:$PATH\n{script}"],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    hangs = f"vpn-configure has not ended within {most} s: see the machine's system log\n"
    assert done.stderr == f"--wait 30 {arguments}\n" + (hangs if code == 124 else "")


def test_a_preview_shows_the_lines_that_change_and_no_line_of_the_secrets() -> None:
    secrets = "/etc/vpn-gateway/secrets.json"
    before = [
        File("/a", 0o644, "one\ntwo\n"),
        File("/gone", 0o644, ""),
        File("/same", 0o644, "x"),
        File(secrets, 0o600, "old"),
    ]
    after = [
        File("/a", 0o600, "one\n2\n"),
        File("/new", 0o644, ""),
        File("/same", 0o644, "x"),
        File(secrets, 0o600, "new"),
    ]
    assert change_text(before, after).splitlines() == [
        "  /a:",
        "    mode 644 -> 600",
        "    -two",
        "    +2",
        f"  {secrets}: other secrets",
        "  /gone: removed",
        "  /new: new",
    ]


def test_of_a_long_change_a_preview_shows_the_number_of_lines() -> None:
    after = "".join(f"line {number}\n" for number in range(MOST_LINES + 1))
    assert (
        change_text([File("/a", 0o644, "old\n" * 1)], [File("/a", 0o644, after)])
        == f"  /a: {MOST_LINES + 1} lines added, 1 removed"
    )


def test_a_gateway_that_can_be_changed_in_place_only_now_is_not_announced_as_replaced() -> None:
    before = {"SSH host key": "1", "profile": "2", PROGRAM: "3"}
    assert compared(before, {"SSH host key": "1"}) == {"SSH host key"}
    assert compared(before, {"SSH host key": "1", PROGRAM: "4"}) == {"SSH host key", "profile", PROGRAM}
    assert compared({"SSH host key": "1"}, {"SSH host key": "2"}) == {"SSH host key"}


def test_the_login_key_that_an_earlier_release_has_kept_is_no_reason_for_a_gateway_that_takes_another() -> None:
    before = {"SSH host key": "1", LOGIN_KEY: "2"}
    assert compared(before, {"SSH host key": "1"}) == {"SSH host key"}
    assert compared({**before, PROGRAM: "3"}, {**before, PROGRAM: "4"}) == {*before, PROGRAM}
