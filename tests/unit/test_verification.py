"""Proves what the proof's commands are and how the ping is judged, with a ping of our own. Sends no packet."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components import VpnGatewayPair, vpn_gateway_pair
from components.decisions.files import File
from components.resources import proof as verification
from components.resources.configuration import NEXT
from components.resources.proof import Route, ping_script
from components.resources.remote_commands import DIAL_SECONDS, dials, installed_files, installer
from components.user_data import configure_files, proof_files
from tests.unit.recording import Deployment, Recorder, address_of, public_key_of

COMMAND = "command:remote:Command"


def deployed_revision(pair: Recorder, side: str) -> str:
    """Return the revision that a side's gateway is to run."""
    files = installed_files(pair.named(f"vpn-{side}-prepare").inputs["stdin"])
    revision: str = json.loads(files[-1].text)["revision"]
    return revision


def test_each_gateway_is_asked_on_its_elastic_ip_with_its_pinned_key(article_pair: Recorder) -> None:
    command = article_pair.named("vpn-verify-uk")
    connection = command.inputs["connection"]
    assert connection["host"] == address_of("vpn-uk-gateway-address")
    assert connection["user"] == "admin"
    assert connection["hostKey"] == public_key_of("vpn-uk-host-key")
    assert (connection["dialErrorLimit"], connection["perDialTimeout"]) == (128, 2)
    revision = deployed_revision(article_pair, "uk")
    verify = f"sudo timeout --kill-after=10 720 vpn-verify --json --wait 600 --revision {revision})"
    assert verify in command.inputs["create"]
    assert command.inputs["addPreviousOutputInEnv"] is False
    assert command.secrets == {"connection"}
    assert not command.request.HasField("customTimeouts")
    assert command.request.deletedWith.endswith("::vpn-uk-gateway")


def test_the_proof_runs_on_both_sides_when_a_resource_on_the_path_of_packets_is_new(article_pair: Recorder) -> None:
    machines = {f"vpn-{side}-{thing}-id" for side in ("uk", "au") for thing in ("gateway", "probe-host")}
    kinds = (
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:ec2/route:Route",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/eipAssociation:EipAssociation",
    )
    path = {f"{each.name}-id" for kind in kinds for each in article_pair.of_type(kind)}
    assert len(path) == 2 * (4 + 1 + 2 + 1 + 2 + 2 + 1)
    revisions = {deployed_revision(article_pair, side) for side in ("uk", "au")}
    for side in ("uk", "au"):
        assert set(article_pair.named(f"vpn-verify-{side}").inputs["triggers"]) == machines | path
        assert set(article_pair.named(f"vpn-ping-{side}").inputs["triggers"]) == machines | path | revisions


def test_both_gateways_are_asked_at_once_and_the_pings_come_after(article_pair: Recorder) -> None:
    verify = {"vpn-verify-uk", "vpn-verify-au"}
    assert not any(article_pair.named(name).depends_on & verify for name in verify)
    for side in ("uk", "au"):
        assert {"vpn-uk-configure", "vpn-au-configure"} <= article_pair.named(f"vpn-verify-{side}").depends_on
        assert verify <= article_pair.named(f"vpn-ping-{side}").depends_on


def test_a_probe_host_is_reached_through_its_own_gateway(article_pair: Recorder) -> None:
    connection = article_pair.named("vpn-ping-au").inputs["connection"]
    assert connection["host"] == "172.31.200.200"
    assert connection["proxy"]["host"] == address_of("vpn-au-gateway-address")
    assert connection["proxy"]["hostKey"] == public_key_of("vpn-au-host-key")
    # Behind a proxy, a second login has no chance: the gateway's own command waits until the host answers.
    assert (connection["dialErrorLimit"], connection["proxy"]["dialErrorLimit"]) == (0, 128)
    assert "until timeout 10 ssh-keyscan -T 5 172.31.200.200 " in article_pair.named("vpn-verify-au").inputs["create"]
    assert "ping -c 5 10.1.10.41" in article_pair.named("vpn-ping-au").inputs["create"]


def test_without_verify_there_is_no_command_and_no_result(deployment: Deployment, article: dict[str, Any]) -> None:
    # A plain dict, not a TypedDict.
    recorder = deployment.run(lambda: VpnGatewayPair("vpn", {**article, "verify": False}))  # type: ignore[typeddict-item]
    assert not recorder.of_type(COMMAND)
    assert recorder.outputs["vpn"]["verification"] == {}


def test_without_probe_hosts_the_gateways_alone_are_asked(deployment: Deployment, article: dict[str, Any]) -> None:
    del article["left"]["probe_host_private_ip"]
    recorder = deployment.run(lambda: VpnGatewayPair("vpn", article))  # type: ignore[arg-type]  # a plain dict
    assert {each.name for each in recorder.of_type(COMMAND)} == {
        f"vpn-{name}" for name in ("uk-prepare", "au-prepare", "uk-configure", "au-configure", "verify-uk", "verify-au")
    }
    assert not any("ssh-keyscan" in each.inputs["create"] for each in recorder.of_type(COMMAND))


@pytest.mark.parametrize("timeout", [30, 31, 600, 3600])
def test_as_many_dials_as_the_timeout_has_room_for_and_never_fewer(timeout: int) -> None:
    number = dials(timeout)
    delays = [min(0.1 * 1.5**n, 5.0) for n in range(number)]
    assert sum(delays[:-1]) < timeout <= sum(delays)
    silent = sum(delays) + (number + 1) * DIAL_SECONDS
    assert silent <= 1.5 * timeout + 20


@pytest.mark.parametrize("code", [0, 1])
def test_green_the_output_is_the_document_and_red_it_is_the_lines_for_people(
    article_pair: Recorder, tmp_path: Path, code: int
) -> None:
    document = r'{"ok": true, "evidence": "C:\new \" %s"}'
    sudo = tmp_path / "sudo"
    verify = f"cat <<'END'\n{document}\nEND\necho uk-gateway: NOT ok >&2\nexit {code}\n"
    sudo.write_text(f"#!/bin/sh\n[ $4 != python3 ] || exit 0\n{verify}")
    sudo.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    keyscan = tmp_path / "ssh-keyscan"
    keyscan.write_text('#!/bin/sh\necho "$@" >>$0.asked\n[ -e $0.second ] && echo key; : >$0.second\n')
    keyscan.chmod(0o755)
    script = article_pair.named("vpn-verify-uk").inputs["create"]
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "" if code else f"{document}\n")
    assert done.stderr == "uk-gateway: NOT ok\n"
    asked = tmp_path / "ssh-keyscan.asked"
    assert (asked.read_text() if asked.exists() else "") == ("" if code else "-T 5 10.1.10.41\n" * 2)


def test_a_vpn_verify_that_hangs_is_ended_and_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verification, "_LAST_LOOK", 1)
    for name, text in (("sudo", 'exec "$@"'), ("vpn-verify", "echo half; exec sleep 60")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = verification.verify_script("0f0f0f0f0f0f", None, wait=0)
    done = _run(script, tmp_path, stdin="")
    assert (done.returncode, done.stdout) == (124, "")
    assert done.stderr == "vpn-verify has not ended within 1 s: see the machine's system log\n"


def _run(script: str, path: Path, *, stdin: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script with the programs in `path` first."""
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
    argv = ["sh", "-c", script]
    return subprocess.run(argv, env=environment, input=stdin, capture_output=True, text=True, check=False)


def test_vpn_verify_is_installed_before_it_is_run(tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    library = tmp_path / "lib/deep/text"
    files = [
        File(str(tmp_path / "vpn-verify"), 0o755, f"#!/bin/sh\ncat {library}\n"),
        File(str(library), 0o644, "new \u00fc '\n"),
    ]
    script = verification.verify_script("0f0f0f0f0f0f", None, wait=0)
    for _ in range(2):
        done = _run(script, tmp_path, stdin=installer(files))
        assert (done.returncode, done.stdout, done.stderr) == (0, "new \u00fc '\n", "")
    assert library.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lib", "sudo", "vpn-verify"]


def test_a_vpn_verify_that_cannot_be_installed_is_not_run(tmp_path: Path) -> None:
    for name, text in (("sudo", 'exec "$@"'), ("vpn-verify", "echo old")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    files = [File(str(tmp_path / "sudo/impossible"), 0o644, "")]
    done = _run(verification.verify_script("0f0f0f0f0f0f", None, wait=0), tmp_path, stdin=installer(files))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"/.*/sudo/impossible cannot be installed: \[Errno \d+\] .*\n", done.stderr)


def test_the_gateways_commands_bring_the_files_of_the_proof_and_the_pings_bring_none(article_pair: Recorder) -> None:
    sent = installer(proof_files())
    for side in ("uk", "au"):
        prepared = installed_files(article_pair.named(f"vpn-{side}-prepare").inputs["stdin"])
        assert [file for file in prepared if file.path != NEXT] == [*configure_files()]
        assert article_pair.named(f"vpn-verify-{side}").inputs["stdin"] == sent
        assert "stdin" not in article_pair.named(f"vpn-ping-{side}").inputs


def test_another_vpn_verify_changes_the_commands_that_bring_it_and_nothing_else(
    article_pair: Recorder, deployment: Deployment, article: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = [replace(file, text=file.text + "# changed\n") for file in proof_files()]
    monkeypatch.setattr(vpn_gateway_pair, "proof_files", lambda: changed)
    later = deployment.run(lambda: VpnGatewayPair("vpn", article))  # type: ignore[arg-type]  # a plain dict
    before = {each.name: each.inputs for each in article_pair.registrations}
    after = {each.name: each.inputs for each in later.registrations}
    assert {name for name in after if after[name] != before[name]} == {"vpn-verify-uk", "vpn-verify-au"}
    for side in ("uk", "au"):
        differing = {
            key for key, value in after[f"vpn-verify-{side}"].items() if before[f"vpn-verify-{side}"][key] != value
        }
        assert differing == {"stdin"}


ROUTE = Route(site="uk", gateway="10.1.1.254", peer_site="au", peer_gateway="172.31.12.198", target="172.31.200.200")
REPLY = "64 bytes from 172.31.200.200: icmp_seq={n} ttl={ttl} time=340 ms"
SOURCE_CHECK = (
    "cause: the source/destination check of uk-gateway's network interface is on, or the default route of"
    " uk's private route table does not lead to that interface."
)


def _report(ttl: int, replies: int, loss: str) -> str:
    lines = [REPLY.format(n=n, ttl=ttl) for n in range(1, replies + 1)]
    return "\n".join([*lines, "", f"5 packets transmitted, {replies} received, {loss} packet loss, time 4005ms"])


def _judge(
    tmp_path: Path,
    *,
    ttl: int = 62,
    replies: int = 5,
    loss: str = "0%",
    silent: tuple[str, ...] = (),
    first: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run the script with a ping that says this of the target, and of any other address whether it is silent.

    If `first` is given, the first five pings say that.
    """
    report, before = _report(ttl, replies, loss), tmp_path / "first"
    if first:
        before.write_text(f"{first}\n")
    ping = tmp_path / "ping"
    ping.write_text(
        f"""#!/bin/sh
for target; do :; done
[ "$target" = 172.31.200.200 ] || case " {" ".join(silent)} " in *" $target "*) exit 1 ;; *) exit 0 ;; esac
case "$*" in *'-c 5'*) if [ -e {before} ]; then cat {before}; rm {before}; exit; fi ;; esac
cat <<'END'
{report}
END
"""
    )
    ping.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = ping_script(ROUTE, wait=1)
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_five_replies_through_two_gateways_are_green(tmp_path: Path) -> None:
    done = _judge(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0% packet loss" in done.stdout


@pytest.mark.parametrize(
    ("ping", "cause"),
    [
        ({"ttl": 64}, "cause: another path than the tunnel leads to au"),
        ({"ttl": 63}, "cause: another path than the tunnel leads to au"),
        ({"replies": 4, "loss": "20%"}, "cause: the path between the gateways loses packets"),
        ({"loss": "20%"}, "cause: another path"),
        ({"replies": 0, "loss": "100%", "silent": ("10.1.1.254", "172.31.12.198")}, "cause: uk-gateway is stopped, or"),
        ({"replies": 0, "loss": "100%", "silent": ("172.31.12.198",)}, SOURCE_CHECK),
        ({"replies": 0, "loss": "100%"}, "cause, on the other side: 172.31.200.200 is down, or its security group"),
    ],
)
def test_a_lost_reply_or_another_path_is_red_with_its_cause(tmp_path: Path, ping: dict[str, Any], cause: str) -> None:
    done = _judge(tmp_path, **ping)
    assert done.returncode == 1
    assert "packet loss" in done.stdout
    _, failed, judged = done.stderr.rpartition("failed: ")
    first, *rungs, last = (failed + judged).splitlines()
    assert first.startswith("failed: ")
    assert "ttl=62" in first
    assert last.startswith(cause)
    assert (
        rungs
        == [
            f"{address} ({name}) {'is silent' if address in ping.get('silent', ()) else 'answers'}"
            for address, name in (("10.1.1.254", "uk-gateway"), ("172.31.12.198", "au-gateway"))
        ][: len(rungs)]
    )
    assert len((done.stdout + done.stderr).splitlines()) < 24


def test_a_packet_that_is_lost_once_is_shown_and_five_more_pings_decide(tmp_path: Path) -> None:
    done = _judge(tmp_path, first=_report(62, 4, "20%"))
    assert (done.returncode, done.stdout) == (0, _report(62, 5, "0%") + "\n")
    assert done.stderr == _report(62, 4, "20%") + "\nSome pings were lost. Pinging again:\n"


def test_what_cannot_be_told_apart_is_named_together(tmp_path: Path) -> None:
    *_, last = _judge(tmp_path, replies=0, loss="100%").stderr.splitlines()
    assert all(
        each in last for each in ("security group", "au-gateway's network interface", "au's private route table")
    )


def test_shellcheck_finds_nothing_in_the_commands(article_pair: Recorder) -> None:
    assert shutil.which("shellcheck"), "apt-get install shellcheck"
    for command in article_pair.of_type(COMMAND):
        script = command.inputs["create"]
        argv = ["shellcheck", "--shell=sh", "-"]
        done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), command.name


def test_a_ping_asks_its_own_gateway_before_the_others(article_pair: Recorder) -> None:
    script = article_pair.named("vpn-ping-au").inputs["create"]
    rungs = ["answers 172.31.12.198 au-gateway", "answers 10.1.1.254 uk-gateway"]
    assert [script.index(rung) for rung in rungs] == sorted(script.index(rung) for rung in rungs)
    assert "10.1.10.41 is down" in script
