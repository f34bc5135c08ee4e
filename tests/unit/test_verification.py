"""Proves what the proof's commands are and how the ping is judged, with a ping of our own. Sends no packet."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components import VpnGatewayPair
from components.verification import ping_script
from tests.unit.recording import Deployment, Recorder

COMMAND = "command:remote:Command"


def test_each_gateway_is_asked_on_its_elastic_ip_with_its_pinned_key(article_pair: Recorder) -> None:
    command = article_pair.named("vpn-verify-uk")
    connection = command.inputs["connection"]
    assert connection["host"] == "eip-of-vpn-uk-gateway-address"
    assert connection["user"] == "admin"
    assert connection["hostKey"] == "ssh-ed25519 AAAA-vpn-uk-host-key"
    assert connection["dialErrorLimit"] == -1
    assert "$(sudo vpn-verify --json --wait 600)" in command.inputs["create"]
    assert command.inputs["addPreviousOutputInEnv"] is False
    assert command.secrets == {"connection"}
    assert command.request.customTimeouts.create == "1260s"
    assert command.request.deletedWith.endswith("::vpn-uk-gateway")


def test_a_new_instance_on_either_side_is_proved_on_both(article_pair: Recorder) -> None:
    machines = {f"vpn-{side}-{thing}-id" for side in ("uk", "au") for thing in ("gateway", "probe-host")}
    assert all(set(command.inputs["triggers"]) == machines for command in article_pair.of_type(COMMAND))


def test_both_gateways_are_asked_at_once_and_the_pings_come_after(article_pair: Recorder) -> None:
    verify = {"vpn-verify-uk", "vpn-verify-au"}
    assert not any(article_pair.named(name).depends_on & verify for name in verify)
    for side in ("uk", "au"):
        assert verify <= article_pair.named(f"vpn-ping-{side}").depends_on


def test_a_probe_host_is_reached_through_its_own_gateway(article_pair: Recorder) -> None:
    connection = article_pair.named("vpn-ping-au").inputs["connection"]
    assert connection["host"] == "172.31.200.200"
    assert connection["proxy"]["host"] == "eip-of-vpn-au-gateway-address"
    assert connection["proxy"]["hostKey"] == "ssh-ed25519 AAAA-vpn-au-host-key"
    assert "ping -c 5 10.1.10.41" in article_pair.named("vpn-ping-au").inputs["create"]


def test_without_verify_there_is_no_command_and_no_result(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = deployment.run(lambda: VpnGatewayPair("vpn", {**article, "verify": False}))  # type: ignore[typeddict-item]
    assert not recorder.of_type(COMMAND)
    assert recorder.outputs["vpn"]["verification"] == {}


def test_without_probe_hosts_the_gateways_alone_are_asked(deployment: Deployment, article: dict[str, Any]) -> None:
    del article["left"]["probe_host_private_ip"]
    recorder = deployment.run(lambda: VpnGatewayPair("vpn", article))  # type: ignore[arg-type]
    assert {each.name for each in recorder.of_type(COMMAND)} == {"vpn-verify-uk", "vpn-verify-au"}


@pytest.mark.parametrize("code", [0, 1])
def test_green_the_output_is_the_document_and_red_it_is_the_lines_for_people(
    article_pair: Recorder, tmp_path: Path, code: int
) -> None:
    document = r'{"ok": true, "evidence": "C:\new \" %s"}'
    sudo = tmp_path / "sudo"
    sudo.write_text(f"#!/bin/sh\ncat <<'END'\n{document}\nEND\necho uk-gateway: NOT ok >&2\nexit {code}\n")
    sudo.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = article_pair.named("vpn-verify-uk").inputs["create"]
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "" if code else f"{document}\n")
    assert done.stderr == "uk-gateway: NOT ok\n"


REPLY = "64 bytes from 10.1.10.41: icmp_seq={n} ttl={ttl} time=340 ms"


def _judge(tmp_path: Path, *, ttl: int = 62, replies: int = 5, loss: str = "0%") -> subprocess.CompletedProcess[str]:
    lines = [REPLY.format(n=n, ttl=ttl) for n in range(1, replies + 1)]
    report = "\n".join([*lines, "", f"5 packets transmitted, {replies} received, {loss} packet loss, time 4005ms"])
    ping = tmp_path / "ping"
    ping.write_text(f"#!/bin/sh\ncat <<'END'\n{report}\nEND\n")
    ping.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = ping_script("10.1.10.41", wait=1)
    return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_five_replies_through_two_gateways_are_green(tmp_path: Path) -> None:
    done = _judge(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0% packet loss" in done.stdout


@pytest.mark.parametrize(
    "ping", [{"ttl": 64}, {"ttl": 63}, {"replies": 4, "loss": "20%"}, {"replies": 0, "loss": "100%"}, {"loss": "20%"}]
)
def test_a_lost_reply_or_another_path_is_red_with_a_remedy(tmp_path: Path, ping: dict[str, Any]) -> None:
    done = _judge(tmp_path, **ping)
    assert done.returncode == 1
    assert "ttl=62" in done.stderr
    assert "remedy:" in done.stderr
    assert len((done.stdout + done.stderr).splitlines()) < 24
