"""Every cause, and the one diagnosis expected on each side and from `pulumi up`.

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

from lab import network_faults
from tests.scenarios import sites
from tests.scenarios.diagnosis import answers, deployment
from tests.scenarios.diagnosis.answers import MARGIN, SILENT_SECONDS, WELL_SECONDS, Answer
from tests.scenarios.diagnosis.cause import Cause, Symptom
from tests.scenarios.diagnosis.causes import CAUSES
from tests.scenarios.diagnosis.changes import RolePolicy
from tests.scenarios.diagnosis.deployment import Deployment, Up
from tests.scenarios.diagnosis.table import PATH, Row, Table
from tests.scenarios.gateway import Gateway, StepError, wait_until
from tests.scenarios.ipsec import pre_shared_keys
from tests.scenarios.sites import LEFT, RIGHT, Pair

pytestmark = pytest.mark.timeout(600)

SETTLING_SECONDS = 5.0
"""Between the change and the first run of vpn-verify, so that no daemon is just restarting."""

SETTLED_LOOKS = 4
"""Runs of vpn-verify until the diagnosis is the expected one: the peer's SAs outlive the cause for some seconds."""

MIRROR_GONE = Symptom("boot", "packages")
NO_SECRET = Symptom("boot", "vpn-secrets.*AccessDenied")
LOOKS = 3
SHOWN = PATH.parent / "pulumi-up"
"""The output of each red `pulumi up`."""


@pytest.fixture(scope="module")
def table() -> Table:
    """Return the table to which the causes are written."""
    return Table()


@pytest.fixture(scope="module")
def stack_under_test(running_stack: None) -> Iterator[Deployment]:
    """Yield the stack, whose proof `up` runs again. Restore its own configuration in the end.

    It is green before the first cause, so that a red `up` is due to the cause.
    """
    deployed = Deployment(PATH.parent)
    before = deployed.begin()
    assert before.exit_code == 0, before.output
    yield deployed
    network_faults.heal()
    after = deployed.put_back()
    assert after.exit_code == 0, after.output


@pytest.fixture
def secrets(pair: Pair) -> list[str]:
    """Return the secrets that no output may contain."""
    keys = [key for gateway in pair.gateways for key in pre_shared_keys(gateway).values()]
    return [*keys, "PRIVATE KEY-----"]


def test_when_all_is_well_each_side_says_so_in_seconds_on_one_screen(
    pair: Pair, secrets: list[str], table: Table
) -> None:
    row = Row(cause="none")
    for site in pair.sites:
        looks = [answers.ask([site.gateway])[site.gateway.name] for _ in range(LOOKS)]
        row.look_seconds[site.name] = min(look.seconds for look in looks)
        setattr(row, site.name, looks[-1].diagnosis)
        row.problems += [problem for look in looks for problem in answers.judge(look, None, secrets)]
        if row.look_seconds[site.name] > WELL_SECONDS * MARGIN:
            row.problems.append(f"the best of {LOOKS} looks took {row.look_seconds[site.name]:.1f} s")
        people = site.gateway.ask("vpn-verify").stdout
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
            looks = settled(cause, pair)
            for side in cause.sides():
                note(row, side, looks[f"{side}-gateway"], cause.symptom(side), secrets)
            if cause.shown_by_up:
                note_up(row, stack_under_test.up(), expected_screens(cause), secrets)
            ended = time.monotonic()
        note_healing(row, ended, within=cause.heals_within)
        if cause.shown_by_up:
            note_green(row, stack_under_test.up())
    finally:
        table.add(row)
    assert row.problems == []


def settled(cause: Cause, pair: Pair) -> dict[str, Answer]:
    """Return what vpn-verify says on each side when all say what is expected, or what the last of its runs says."""
    looks: dict[str, Answer] = {}
    for _ in range(SETTLED_LOOKS):
        time.sleep(SETTLING_SECONDS)
        looks = answers.ask([pair.site(side).gateway for side in cause.sides()])
        if not any(answers.judge(looks[f"{side}-gateway"], cause.symptom(side), []) for side in cause.sides()):
            break
    return looks


def test_a_first_boot_without_secret_or_packages_says_so_and_goes_on_as_its_remedy_says(
    pair: Pair, stack_under_test: Deployment, secrets: list[str], table: Table
) -> None:
    """One gateway is replaced. The causes that hold up its boot are removed one by one."""
    policy, rows = RolePolicy(pair.uk.gateway), list[Row]()
    try:
        policy.take_away()
        network_faults.inject("mirror")
        for row in held_up_boot(pair, stack_under_test, policy, secrets):
            rows.append(row)
        policy.put_back()
        network_faults.heal()
        note_healing(rows[-1], time.monotonic(), within=300)
        note_green(rows[-1], stack_under_test.up())
    finally:
        policy.put_back()
        network_faults.heal()
        for row in rows:
            table.add(row)
    assert [problem for row in rows for problem in row.problems] == []


def held_up_boot(pair: Pair, deployed: Deployment, policy: RolePolicy, secrets: list[str]) -> Iterator[Row]:
    """Replace the left gateway. Yield a row for each cause that then holds it up. The mirror stays unreachable."""
    verify_uk = f"vpn-verify-{LEFT}"
    neither = Row(cause="role without permission: no host key, no pre-shared key")
    up = deployed.up("--replace", pair.uk.gateway.urn())
    # The instance is another one now.
    uk = sites.find().uk.gateway
    # sshd has the key that cloud-init made, or does not listen yet. A client that pins the other key cannot log in.
    note_up(
        neither,
        up,
        {f"vpn-{LEFT}-prepare": ["host key mismatch|handshake failed|connection refused|i/o timeout"]},
        secrets,
    )
    looks = answers.ask([pair.au.gateway])
    note(neither, RIGHT, looks[pair.au.gateway.name], Symptom("peer", "refused|silent"), secrets)
    note(neither, LEFT, given_up(uk, "host-key"), NO_SECRET, secrets)
    yield neither

    policy.allow_only("host-key")
    boot_again(uk)
    no_psk = Row(cause="role that may read the host key alone")
    note(no_psk, LEFT, given_up(uk, "psk"), NO_SECRET, secrets)
    note_up(no_psk, deployed.up(), {verify_uk: red("boot", NO_SECRET.evidence)}, secrets)
    yield no_psk

    policy.put_back()
    boot_again(uk)
    no_mirror = Row(cause="package mirror unreachable at boot")
    look = answers.await_diagnosis(uk, "boot", MIRROR_GONE.evidence, within=60)
    note(no_mirror, LEFT, look, MIRROR_GONE, secrets)
    note_up(no_mirror, deployed.up(), {verify_uk: red("boot", MIRROR_GONE.evidence)}, secrets)
    yield no_mirror


def given_up(gateway: Gateway, parameter: str) -> Answer:
    """Stop the step that asks for a secret once SSM has refused the parameter. Return the diagnosis after that."""
    refused = f"journalctl --sync; journalctl -b -t vpn-secrets -ocat | tail -n1 | grep -q '{parameter}.*AccessDenied'"
    wait_until(f"SSM refuses {parameter}", lambda: succeeds(gateway, refused), 120)
    gateway.run("systemctl stop vpn-secrets")
    gateway.install_verify()
    return answers.await_diagnosis(gateway, "boot", "failed", within=30)


def boot_again(gateway: Gateway) -> None:
    """Apply the remedy of the layer `boot`. Does not wait."""
    gateway.run("systemd-run -q --collect /usr/local/sbin/vpn-boot")


def succeeds(gateway: Gateway, script: str) -> bool:
    """Return whether a shell script succeeds on a gateway, which may be booting."""
    try:
        gateway.run(script, timeout=10)
    except (StepError, LookupError, subprocess.TimeoutExpired):
        return False
    return True


def expected_screens(cause: Cause) -> dict[str, list[str]]:
    """Return the resources that must be red in `pulumi up`, each with what it must show, in order."""
    found = {}
    for side in (LEFT, RIGHT):
        symptom = cause.symptom(side)
        if symptom is not None:
            found[f"vpn-verify-{side}"] = red(symptom.layer, symptom.evidence)
        if side in cause.pings:
            found[f"vpn-ping-{side}"] = [cause.pings[side]]
    return found


def red(layer: str, evidence: str) -> list[str]:
    """Return the patterns of a failed layer of vpn-verify: its line, and the remedy below it."""
    return [rf"^failed +({layer}) +.*({evidence})", "^ +-> .+"]


def note(row: Row, side: str, look: Answer, expected: Symptom | None, secrets: list[str]) -> None:
    """Record a side's diagnosis, and its differences from the expected one."""
    setattr(row, side, look.diagnosis)
    row.look_seconds[side] = look.seconds
    row.problems += [f"{side}: {problem}" for problem in answers.judge(look, expected, secrets)]
    if look.seconds > SILENT_SECONDS:
        print(f"{side}: a look took {look.seconds:.0f} s")


def note_up(row: Row, up: Up, expected: dict[str, list[str]], secrets: list[str]) -> None:
    """Record what a red `pulumi up` shows, and its differences from what was expected. Keep the whole output."""
    row.up_seconds = up.seconds
    SHOWN.mkdir(parents=True, exist_ok=True)
    (SHOWN / f"{re.sub('[^a-z0-9]+', '-', row.cause.lower())}.txt").write_text(up.output)
    lines = []
    for name, patterns in expected.items():
        row.problems += [f"pulumi: {problem}" for problem in deployment.judge(up, name, patterns, secrets)]
        shown = [line for line in up.screens.get(name, ()) if re.search(patterns[0], line, re.I)]
        lines.append(f"{name}: {shown[0] if shown else 'nothing of it'}")
    row.pulumi = "; ".join(lines)


def note_healing(row: Row, ended: float, *, within: float) -> None:
    """Record when both sides are well after the restoration, or their diagnoses."""
    # Looked up again, because a test may have replaced an instance.
    looks = answers.ask(sites.find().gateways, wait=within)
    row.well_seconds = time.monotonic() - ended
    row.problems += [f"not healed: {name}: {look.diagnosis}" for name, look in looks.items() if look.failed]


def note_green(row: Row, up: Up) -> None:
    """Record whether `pulumi up` is green again."""
    if up.exit_code:
        row.problems.append(f"after healing pulumi up is red: {up.screens}")
