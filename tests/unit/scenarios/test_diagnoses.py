"""The scenarios' judge of diagnoses finds each difference from what is expected."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from components.decisions import monitoring
from components.decisions.tunnel import TunnelProfile
from lab import settings
from tests.scenarios.diagnosis import answers, causes, deployment, ipsec_conf, table
from tests.scenarios.diagnosis.answers import Answer, Layer
from tests.scenarios.diagnosis.cause import Cause, Symptom
from tests.scenarios.diagnosis.deployment import Up
from tests.scenarios.diagnosis.table import Row, Table
from tests.unit.gateway_documents import gateway_document, installed_files

PSK = "correct-horse-battery-staple-0123456789abcde"
PPK = "battery-staple-correct-horse-edcba9876543210"
TABLE = """\
uk-gateway: NOT ok
ok      boot          all steps done
failed  ike           AUTHENTICATION_FAILED: the pre-shared keys differ
                      -> give both sides the same key
skipped policy        needs ike
"""
WRONG_PSK = Symptom("ike", "pre-shared keys? differ")


def answer(*, exit_code: int = 1, seconds: float = 9.0, text: str = TABLE) -> Answer:
    layers = (
        Layer("boot", "ok", "all steps done", ""),
        Layer("ike", "failed", "AUTHENTICATION_FAILED: the pre-shared keys differ", "give both sides the same key"),
        Layer("policy", "skipped", "needs ike", ""),
    )
    return Answer(exit_code=exit_code, seconds=seconds, layers=layers, text=text, raw=text)


def well() -> Answer:
    found = answer(exit_code=0, text="")
    return replace(found, layers=tuple(replace(layer, status="ok", remedy="") for layer in found.layers))


def test_the_diagnosis_that_is_expected_has_no_problem() -> None:
    assert answers.judge(answer(), WRONG_PSK, [PSK]) == []
    assert answers.judge(well(), None, [PSK]) == []


@pytest.mark.parametrize(
    ("actual", "expected", "problem"),
    [
        (answer(), None, "all is to be well"),
        (well(), WRONG_PSK, "all is well"),
        (answer(), Symptom("peer", "."), "the layer is to be peer"),
        (answer(), Symptom("ike", "proposal"), "the evidence is to say 'proposal'"),
        (answer(exit_code=0), WRONG_PSK, "exit code 0"),
        (answer(seconds=50), WRONG_PSK, "one look took 50 s"),
        (answer(text=TABLE * 5), WRONG_PSK, "25 rows of 160 columns"),
        (replace(answer(), raw=f"key {PSK}"), WRONG_PSK, "a secret of 44 characters is in the output"),
        (replace(answer(), layers=(Layer("ike", "failed", "pre-shared keys differ", ""),)), WRONG_PSK, "no remedy"),
    ],
)
def test_each_difference_from_what_is_expected_is_a_problem_of_its_own(
    actual: Answer, expected: Symptom | None, problem: str
) -> None:
    (reported,) = answers.judge(actual, expected, [PSK])
    assert problem in reported
    assert PSK not in reported


def test_a_long_line_takes_as_many_rows_as_a_screen_folds_it_into() -> None:
    assert answers.rows(["", "x" * 160, "x" * 161]) == 4


def test_what_vpn_verify_prints_is_read_with_its_lines_for_people() -> None:
    layer = {"name": "boot", "status": "failed", "evidence": "step packages", "remedy": "sudo vpn-boot"}
    document = json.dumps({"ok": False, "gateway": "uk-gateway", "layers": [layer]})
    read = answers.read(subprocess.CompletedProcess([], 1, document, "uk-gateway: NOT ok\n"), 3.0)
    assert (read.diagnosis, read.text) == ("boot: step packages", "uk-gateway: NOT ok\n")
    assert document in read.raw


def test_output_that_is_no_document_is_shown() -> None:
    with pytest.raises(ValueError, match="needs root"):
        answers.read(subprocess.CompletedProcess([], 2, "", "needs root"), 1.0)


OUTPUT = """\
Updating (lab):
 +  command:remote:Command vpn-verify-uk creating failed

Diagnostics:
  command:remote:Command (vpn-verify-uk):
    error: Process exited with status 1: running "report=$(sudo vpn-verify --json --wait 31)":
    uk-gateway: NOT ok
    failed  ike           AUTHENTICATION_FAILED: the pre-shared keys differ
                          -> give both sides the same key

  pulumi:pulumi:Stack (vpn-gateway-pair-lab):
    error: update failed

Resources:
    61 unchanged
"""
IKE = [r"^failed +ike .*pre-shared keys differ", "^ +-> .+"]


def up(output: str = OUTPUT, exit_code: int = 255) -> Up:
    return Up(exit_code, 40.0, output, deployment.screens(output))


def test_the_lines_of_each_resource_that_failed_are_found_below_diagnostics() -> None:
    screens = deployment.screens(OUTPUT)
    assert list(screens) == ["vpn-verify-uk", "vpn-gateway-pair-lab"]
    assert screens["vpn-verify-uk"][1] == "uk-gateway: NOT ok"
    assert screens["vpn-gateway-pair-lab"] == ["error: update failed"]


def test_a_red_up_that_shows_layer_cause_and_remedy_has_no_problem() -> None:
    assert deployment.judge(up(), "vpn-verify-uk", IKE, [PSK]) == []


@pytest.mark.parametrize(
    ("actual", "name", "problem"),
    [
        (up(exit_code=0), "vpn-verify-uk", "green"),
        (up(), "vpn-verify-au", "shows nothing of vpn-verify-au"),
        (up(OUTPUT.replace("pre-shared keys differ", "no answer")), "vpn-verify-uk", "is not shown"),
        (up(OUTPUT.replace("->", "")), "vpn-verify-uk", "is not shown"),
        (up(OUTPUT.replace("    uk-gateway: NOT ok\n", "    x\n" * 25)), "vpn-verify-uk", "28 rows"),
        (up(OUTPUT + PSK), "vpn-verify-uk", "a secret of 44 characters"),
        (up(OUTPUT + "-----BEGIN OPENSSH PRIVATE KEY-----"), "vpn-verify-uk", "a private key"),
    ],
)
def test_a_red_up_that_shows_less_or_more_is_a_problem(actual: Up, name: str, problem: str) -> None:
    (reported,) = deployment.judge(actual, name, IKE, [PSK])
    assert problem in reported


def test_a_red_up_waits_for_the_shortest_time_and_is_otherwise_the_stacks() -> None:
    config = (settings.ROOT / "Pulumi.lab.yaml").read_text()
    changed = deployment.with_shortest_timeout(config)
    assert "verifyTimeoutSeconds: 30\n" in changed
    assert changed.replace("Seconds: 30", "Seconds: 900") == config


def test_a_configuration_without_the_timeout_is_refused() -> None:
    with pytest.raises(ValueError, match="0 times"):
        deployment.with_shortest_timeout("config: {}\n")


IPSEC_CONF = installed_files(gateway_document())["/etc/ipsec.d/vpn.conf"]


def test_the_other_profile_is_what_a_gateway_of_that_profile_would_have() -> None:
    article = ipsec_conf.with_profile(IPSEC_CONF, TunnelProfile.ARTICLE_2014)
    assert "  ikev1-policy=accept\n" in article
    assert "  ikev2=no\n" in article
    assert "  ike=aes256-sha1;modp2048\n" in article
    assert "dpddelay" not in article
    assert "ppk" not in article


def test_a_keyword_that_is_not_there_cannot_be_changed() -> None:
    changed = ipsec_conf.with_keywords("conn a\n\tright=1\n\tleft=2\n", {"right": "3", "left": None})
    assert changed == "conn a\n\tright=3\n"
    with pytest.raises(KeyError, match="rightsubnet"):
        ipsec_conf.with_keywords("conn a\n", {"rightsubnet": "10.0.0.0/8"})


@pytest.mark.parametrize(("kind", "old", "other"), [("PSK", PSK, PPK), ('PPKS "vpn"', PPK, PSK)])
def test_another_key_takes_the_place_of_the_key_alone(kind: str, old: str, other: str) -> None:
    ids = "198.51.100.1 198.51.100.129"
    text = f'{ids} : PSK "{PSK}"\n{ids} : PPKS "vpn" "{PPK}"\n# psk:1 ppk:1\n'
    changed = causes.with_other_key(kind, text)
    assert re.sub("[0-9a-f]{64}", old, changed) == text
    assert old not in changed
    assert other in changed


def test_every_cause_has_a_name_of_its_own_and_a_diagnosis_somewhere() -> None:
    names = [cause.name for cause in causes.CAUSES]
    assert len(set(names)) == len(names) == 18
    assert all(cause.uk or cause.au or cause.pings for cause in causes.CAUSES)


def test_the_causes_without_an_alarm_are_those_that_no_gateway_sees() -> None:
    assert [cause.name for cause in causes.CAUSES if not (cause.alarms or cause.silent)] == [
        "security group without UDP 4500",
        "security group without UDP 500",
        "source/destination check on",
        "no private default route",
        "MTU black hole",
        "private host's security group closed",
    ]


def test_the_alarms_of_a_cause_are_created_and_belong_to_gateways_that_publish() -> None:
    created = {
        f"vpn-{side}-{alarm.name}": side
        for side, peer in (("uk", "au"), ("au", "uk"))
        for alarm in monitoring.alarms(
            f"{side}-gateway", [monitoring.Tunnel(peer=peer, connection=f"{side}-to-{peer}", has_echoes=True)]
        )
    }
    for cause in causes.CAUSES:
        assert cause.alarms <= created.keys(), cause.name
        assert not cause.silent & {created[name] for name in cause.alarms}, cause.name
        assert cause.absent <= cause.silent, cause.name


def test_a_side_that_does_not_run_is_not_asked() -> None:
    stopped = next(cause for cause in causes.CAUSES if cause.name == "peer instance stopped")
    assert stopped.sides() == ("au",)
    whole: Cause = next(cause for cause in causes.CAUSES if cause.name == "wrong pre-shared key")
    assert whole.sides() == ("uk", "au")


def test_a_row_takes_the_place_of_an_older_one_and_its_problems_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "faults" / "diagnosis.json"
    rows = Table(path)
    rows.add(Row(cause="no NAT exemption", problems=["all is well"]))
    rows.add(Row(cause="daemon stopped", uk="daemon: inactive"))
    assert "NOT as expected: all is well" in path.with_suffix(".txt").read_text()
    rows.add(Row(cause="no NAT exemption", uk="nat: no ACCEPT", au="ok", look_seconds={"uk": 4.21, "au": 3.0}))
    assert [row.cause for row in rows.rows()] == ["no NAT exemption", "daemon stopped"]
    shown = path.with_suffix(".txt").read_text().splitlines()
    assert shown[0].split()[0] == "cause"
    assert "4.2" in shown[1]
    assert "NOT" not in "".join(shown)


def test_a_long_cell_is_cut() -> None:
    shown = table.text([Row(cause="x", uk="y" * 200)])
    assert max(map(len, shown.splitlines())) < 120
