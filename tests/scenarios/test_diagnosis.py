"""Every cause, injected for real, and the one diagnosis expected of it on each side and of `pulumi up`.

Proves that vpn-verify names each cause of the table, with evidence and a remedy, on one screen, without a secret, in
time; that `pulumi up` fails with the same words and is green again after healing. The table comes out in
`.lab/faults/diagnosis.json` and `.txt`, what `pulumi up` printed in `.lab/faults/pulumi-up/`. Single causes:
`pytest tests/scenarios/test_diagnosis.py -k pre-shared`.
"""

import re
import subprocess
import time
from collections.abc import Iterator

import pytest

from lab import hosts
from lab import network_faults as faults
from tests.scenarios import sites
from tests.scenarios.diagnosis import answers, deployment
from tests.scenarios.diagnosis.answers import MARGIN, SILENT_SECONDS, WELL_SECONDS, Answer
from tests.scenarios.diagnosis.cause import Cause, Symptom
from tests.scenarios.diagnosis.causes import CAUSES, psk_file
from tests.scenarios.diagnosis.deployment import Deployment, Up
from tests.scenarios.diagnosis.doors import RolePolicy
from tests.scenarios.diagnosis.table import PATH, Row, Table
from tests.scenarios.operations import OperationError, install_verify, instance_urn, on_gateway, wait_until
from tests.scenarios.sites import LEFT, RIGHT, Pair, Site

pytestmark = pytest.mark.timeout(600)

SETTLING_SECONDS = 5.0
"""From breaking to looking: nobody looks in the moment in which a daemon restarts."""

MIRROR_GONE = Symptom("boot", "packages")
NO_SECRET = Symptom("boot", "vpn-secrets.*AccessDenied")
LOOKS = 3
SHOWN = PATH.parent / "pulumi-up"
"""What each red `pulumi up` printed."""


@pytest.fixture(scope="module")
def table() -> Table:
    """Give the table that the causes are written to."""
    return Table()


@pytest.fixture(scope="module")
def stack_under_test(running_stack: None) -> Iterator[Deployment]:
    """Give the stack, to be verified anew as often as one likes; put it back in the end.

    Green before the first cause: whatever is red afterwards is the cause's.
    """
    deployed = Deployment(PATH.parent)
    before = deployed.put_back()
    assert before.exit_code == 0, before.output
    yield deployed
    faults.heal()
    after = deployed.put_back()
    assert after.exit_code == 0, after.output


@pytest.fixture
def secrets(pair: Pair) -> list[str]:
    """Give what no output may have in it."""
    texts = [on_gateway(site, f"cat {psk_file(site)}") for site in pair.sites]
    return [*re.findall(r'PSK "(.+)"', "".join(texts)), "PRIVATE KEY-----"]


def test_when_all_is_well_each_side_says_so_in_seconds_on_one_screen(
    pair: Pair, secrets: list[str], table: Table
) -> None:
    row = Row(cause="none")
    for site in pair.sites:
        looks = [answers.ask([site.gateway])[site.gateway] for _ in range(LOOKS)]
        row.look_seconds[site.name] = min(look.seconds for look in looks)
        setattr(row, site.name, looks[-1].diagnosis)
        row.problems += [problem for look in looks for problem in answers.judge(look, None, secrets)]
        if row.look_seconds[site.name] > WELL_SECONDS * MARGIN:
            row.problems.append(f"the best of {LOOKS} looks took {row.look_seconds[site.name]:.1f} s")
        people = hosts.run(site.gateway, ["vpn-verify"]).stdout.decode()
        if answers.rows(people.splitlines()) > answers.SCREEN_LINES:
            row.problems.append(f"for people: {people}")
    table.add(row)
    assert row.problems == []


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_cause_is_named_on_each_side_and_by_pulumi_up(
    cause: Cause, pair: Pair, stack_under_test: Deployment, secrets: list[str], table: Table
) -> None:
    row = Row(cause=cause.name)
    try:
        with cause.broken(pair):
            time.sleep(SETTLING_SECONDS)
            looks = answers.ask([pair.site(side).gateway for side in cause.sides()])
            for side in cause.sides():
                note(row, pair.site(side), looks[pair.site(side).gateway], cause.symptom(side), secrets)
            if cause.shown_by_up:
                note_up(row, stack_under_test.up(), expected_screens(cause), secrets)
            ended = time.monotonic()
        note_healing(row, pair, ended, within=cause.heals_within)
        if cause.shown_by_up:
            note_green(row, stack_under_test.up())
    finally:
        table.add(row)
    assert row.problems == []


def test_a_first_boot_without_secret_or_packages_says_so_and_goes_on_as_its_remedy_says(
    pair: Pair, stack_under_test: Deployment, secrets: list[str], table: Table
) -> None:
    """One gateway is replaced for real; what holds it up is taken away piece by piece."""
    policy, rows = RolePolicy(pair.uk), list[Row]()
    try:
        policy.take_away()
        faults.inject("mirror")
        for row in held_up_boot(pair, stack_under_test, policy, secrets):
            rows.append(row)
        policy.put_back()
        faults.heal()
        note_healing(rows[-1], pair, time.monotonic(), within=300)
        note_green(rows[-1], stack_under_test.up())
    finally:
        policy.put_back()
        faults.heal()
        for row in rows:
            table.add(row)
    assert [problem for row in rows for problem in row.problems] == []


def held_up_boot(pair: Pair, deployed: Deployment, policy: RolePolicy, secrets: list[str]) -> Iterator[Row]:
    """Replace the left gateway; yield a row for each cause that then holds it up. The mirror is still gone after."""
    uk, verify_uk = pair.uk, f"vpn-verify-{LEFT}"
    neither = Row(cause="role without permission: no host key, no pre-shared key")
    up = deployed.up("--replace", instance_urn(uk))
    # Another instance stands there now.
    uk = sites.find().uk
    # sshd has the key that cloud-init made, or does not listen yet: either way nobody can log in who pins the other.
    note_up(neither, up, {verify_uk: ["host key mismatch|handshake failed|connection refused|i/o timeout"]}, secrets)
    looks = answers.ask([pair.au.gateway])
    note(neither, pair.au, looks[pair.au.gateway], Symptom("peer", "refused|silent"), secrets)
    note(neither, uk, given_up(uk, "host-key"), NO_SECRET, secrets)
    yield neither

    policy.allow_only("host-key")
    boot_again(uk)
    no_psk = Row(cause="role that may read the host key alone")
    note(no_psk, uk, given_up(uk, "psk"), NO_SECRET, secrets)
    note_up(no_psk, deployed.up(), {verify_uk: red("boot", NO_SECRET.evidence)}, secrets)
    yield no_psk

    policy.put_back()
    boot_again(uk)
    no_mirror = Row(cause="package mirror unreachable at boot")
    look = answers.await_diagnosis(uk.gateway, "boot", MIRROR_GONE.evidence, within=60)
    note(no_mirror, uk, look, MIRROR_GONE, secrets)
    note_up(no_mirror, deployed.up(), {verify_uk: red("boot", MIRROR_GONE.evidence)}, secrets)
    yield no_mirror


def given_up(site: Site, parameter: str) -> Answer:
    """Stop the step that asks for a secret, as who does not wait for the last of its tries; return what is said then.

    Not before SSM has refused the parameter.
    """
    refused = f"journalctl --sync; journalctl -b -t vpn-secrets -ocat | tail -n1 | grep -q '{parameter}.*AccessDenied'"
    wait_until(f"SSM refuses {parameter}", lambda: succeeds(site, refused), 120)
    on_gateway(site, "systemctl stop vpn-secrets")
    install_verify(site)
    return answers.await_diagnosis(site.gateway, "boot", "failed", within=30)


def boot_again(site: Site) -> None:
    """Do what the remedy of the layer `boot` says; not waited for."""
    on_gateway(site, "systemd-run -q --collect /usr/local/sbin/vpn-boot")


def succeeds(site: Site, script: str) -> bool:
    """Say whether a shell script succeeds on a gateway, which may be busy booting."""
    try:
        on_gateway(site, script, timeout=10)
    except (OperationError, LookupError, subprocess.TimeoutExpired):
        return False
    return True


def expected_screens(cause: Cause) -> dict[str, list[str]]:
    """Return the resources that must be red in `pulumi up`, each with what its screen must show, in order."""
    found = {}
    for side in (LEFT, RIGHT):
        symptom = cause.symptom(side)
        if symptom is not None:
            found[f"vpn-verify-{side}"] = red(symptom.layer, symptom.evidence)
        if side in cause.pings:
            found[f"vpn-ping-{side}"] = [cause.pings[side]]
    return found


def red(layer: str, evidence: str) -> list[str]:
    """Return what shows a failed layer of vpn-verify: its line, and the remedy below it."""
    return [rf"^failed +({layer}) +.*({evidence})", "^ +-> .+"]


def note(row: Row, site: Site, look: Answer, expected: Symptom | None, secrets: list[str]) -> None:
    """Write down what a side says, and what of it is not as expected."""
    setattr(row, site.name, look.diagnosis)
    row.look_seconds[site.name] = look.seconds
    row.problems += [f"{site.name}: {problem}" for problem in answers.judge(look, expected, secrets)]
    if look.seconds > SILENT_SECONDS:
        print(f"{site.name}: a look took {look.seconds:.0f} s")


def note_up(row: Row, up: Up, expected: dict[str, list[str]], secrets: list[str]) -> None:
    """Write down what a red `pulumi up` shows, and what of it is not as expected; keep all it printed."""
    row.up_seconds = up.seconds
    SHOWN.mkdir(parents=True, exist_ok=True)
    (SHOWN / f"{re.sub('[^a-z0-9]+', '-', row.cause.lower())}.txt").write_text(up.output)
    lines = []
    for name, patterns in expected.items():
        row.problems += [f"pulumi: {problem}" for problem in deployment.judge(up, name, patterns, secrets)]
        shown = [line for line in up.screens.get(name, ()) if re.search(patterns[0], line, re.I)]
        lines.append(f"{name}: {shown[0] if shown else 'nothing of it'}")
    row.pulumi = "; ".join(lines)


def note_healing(row: Row, pair: Pair, ended: float, *, within: float) -> None:
    """Write down when both sides are well after what was broken is put back, or what they say instead."""
    looks = answers.ask([site.gateway for site in pair.sites], wait=within)
    row.well_seconds = time.monotonic() - ended
    row.problems += [f"not healed: {name}: {look.diagnosis}" for name, look in looks.items() if look.failed]


def note_green(row: Row, up: Up) -> None:
    """Write down whether `pulumi up` is green again."""
    if up.exit_code:
        row.problems.append(f"after healing pulumi up is red: {up.screens}")
