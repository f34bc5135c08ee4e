"""The checkout's own program and its lab stack, with the real engine and the lab's API, without machines.

Proves what `pulumi up` and `pulumi destroy` of this program do in two regions: they handle both sides in parallel,
change nothing without a reason, change only what an argument concerns, repair drift, continue after an error or a
Ctrl-C, and leave nothing. Does not prove that the machines then work (tests/lab; so `verify` is off), nor AWS. `pytest
tests/engine/test_program.py`; there is nothing to clean up.
"""

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.engine.api_process import ApiProcess, running_api
from tests.engine.program_stack import ProgramStack

pytestmark = pytest.mark.engine

REGIONS = {"uk": "eu-west-2", "au": "ap-southeast-2"}
UNTAGGED = ("association", "route", "role-policy")
"""Ends of the names, without a range, of the resources that have no tags in AWS."""
RANGE = r"-[0-9.]+-[0-9]+$"


@dataclass
class Pair:
    """The program's deployed stack, and the calls that created it."""

    stack: ProgramStack
    api: ApiProcess
    creation: list[dict[str, Any]]


@pytest.fixture(scope="module")
def pair(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Yield the pair of Pulumi.lab.yaml. The tests change only its tags and its PSK."""
    with running_api() as api:
        stack = ProgramStack(tmp_path_factory.mktemp("pair") / "stack", api).make(engine_environment)
        # Launches that take some seconds show whether others run at the same time.
        api.add_fault(action="RunInstances", code="", seconds="5", times="4")
        stack.up()
        yield Pair(stack, api, api.calls())
        stack.destroy()
        assert left_over(api) == []


@pytest.fixture
def fresh(engine_environment: dict[str, str], tmp_path: Path) -> Iterator[ProgramStack]:
    """Yield an empty stack and an empty account."""
    with running_api() as api:
        yield ProgramStack(tmp_path / "fresh", api).make(engine_environment)


def left_over(api: ApiProcess) -> list[str]:
    return [each for region in REGIONS.values() for each in api.left_over(region)]


def living_instances(api: ApiProcess) -> list[str]:
    instances = []
    for region in REGIONS.values():
        for reservation in api.client("ec2", region).describe_instances()["Reservations"]:
            instances += [
                each["InstanceId"] for each in reservation["Instances"] if each["State"]["Name"] != "terminated"
            ]
    return sorted(instances)


def instances_of(ids: dict[str, str]) -> list[str]:
    return sorted(each for each in ids.values() if each.startswith("i-"))


def test_both_sides_are_created_at_the_same_time(pair: Pair) -> None:
    windows = {}
    for side, region in REGIONS.items():
        # Not by time: on a busy machine, some calls take ten times as long as others.
        numbers = [
            call["sequence"]
            for call in pair.creation
            if call["region"] == region and call["action"].startswith(("Create", "Allocate", "Run", "Associate"))
        ]
        windows[side] = (min(numbers), max(numbers))
    together = min(end for _, end in windows.values()) - max(begin for begin, _ in windows.values())
    longest = max(end - begin for begin, end in windows.values())
    print(f"created together: {together} calls of {longest}")
    assert together > longest / 2

    launches: dict[str, list[tuple[float, float]]] = {region: [] for region in REGIONS.values()}
    for call in pair.creation:
        if call["action"] == "RunInstances":
            launches[call["region"]].append((call["time"] - call["duration_ms"] / 1000, call["time"]))
    overlaps = [
        min(end, other_end) - max(begin, other_begin)
        for begin, end in launches[REGIONS["uk"]]
        for other_begin, other_end in launches[REGIONS["au"]]
    ]
    assert max(overlaps) > 0, "no launch on one side ran at the same time as one on the other"


def test_a_second_up_and_a_refresh_find_nothing_to_do(pair: Pair) -> None:
    last = pair.api.calls()[-1]["sequence"]
    pair.stack.up("--expect-no-changes", "--refresh")
    began = time.monotonic()
    previewed = pair.stack.run("preview", "--expect-no-changes")
    # Only printed: on a busy machine the same preview takes three times as long. `make figures` measures it.
    print(f"preview of an unchanged stack: {time.monotonic() - began:.1f} s")
    assert previewed.operations == {}
    calls = pair.api.calls(after=last)
    reading = ("Describe", "Get", "List")
    assert [call["action"] for call in calls if not call["action"].startswith(reading)] == []


def test_a_new_tag_is_added_in_place_to_every_resource_with_tags(pair: Pair) -> None:
    before = pair.stack.ids()
    pair.stack.cli("config", "set", "--path", "tags.team", "network")
    changed = pair.stack.up().operations
    assert set(changed.values()) == {"update"}
    aws = {name for name in before if name.startswith(("vpn-uk-", "vpn-au-"))}
    aws -= {name for name in aws if name.endswith(("-image", "-host-key"))}
    assert changed.keys() == {name for name in aws if not re.sub(RANGE, "", name).endswith(UNTAGGED)}
    assert pair.stack.ids() == before
    for side, region in REGIONS.items():
        [vpc] = pair.api.client("ec2", region).describe_vpcs(VpcIds=[before[f"vpn-{side}-vpc"]])["Vpcs"]
        assert {"Key": "team", "Value": "network"} in vpc["Tags"]


def test_a_new_psk_replaces_both_gateways_but_no_address_and_no_route(pair: Pair) -> None:
    before = pair.stack.ids()
    psk = secrets.token_hex(32)
    pair.stack.cli("config", "set", "--secret", "psk", psk)
    changed = pair.stack.up()
    after = pair.stack.ids()
    gateways = {"vpn-uk-gateway", "vpn-au-gateway"}
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "vpn-psk",
        *gateways,
    }
    assert "vpn-psk" not in after, "a configured PSK replaces the generated one"
    parameters = {"vpn-uk-psk-parameter", "vpn-au-psk-parameter"}
    assert changed.operations.keys() == {"vpn-psk", *gateways, *parameters}
    assert {changed.operations[name] for name in parameters} == {"update"}
    assert living_instances(pair.api) == instances_of(after)
    for side, region in REGIONS.items():
        stored = pair.api.client("ssm", region).get_parameter(
            Name=after[f"vpn-{side}-psk-parameter"], WithDecryption=True
        )
        assert stored["Parameter"]["Value"] == psk
    assert psk not in changed.output
    assert psk not in (pair.stack.folder / "state/.pulumi/stacks/vpn-gateway-pair/lab.json").read_text()


@pytest.mark.whole
def test_a_ctrl_c_in_the_middle_of_a_rotation_loses_nothing(pair: Pair) -> None:
    before = pair.stack.ids()
    after = pair.api.calls()[-1]["sequence"]

    def under_way() -> bool:
        return any(call["action"] == "TerminateInstances" for call in pair.api.calls(after))

    pair.stack.cli("config", "set", "--secret", "psk", secrets.token_hex(32))
    pair.stack.interrupted("up", under_way)
    pair.stack.up()
    kept = pair.stack.ids()
    assert {name for name in before if before[name] != kept.get(name)} <= {
        "vpn-psk",
        "vpn-uk-gateway",
        "vpn-au-gateway",
    }
    assert living_instances(pair.api) == instances_of(kept)
    assert len(instances_of(kept)) == 4
    assert pair.stack.run("preview", "--expect-no-changes").operations == {}


def test_resources_that_somebody_else_deleted_are_noticed_and_created_again(pair: Pair) -> None:
    before = pair.stack.ids()
    uk, au = (pair.api.client("ec2", region) for region in REGIONS.values())
    uk.delete_route(RouteTableId=before["vpn-uk-private-routes"], DestinationCidrBlock="0.0.0.0/0")
    au.terminate_instances(InstanceIds=[before["vpn-au-probe-host"]])
    au.get_waiter("instance_terminated").wait(
        InstanceIds=[before["vpn-au-probe-host"]], WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    pair.stack.run("refresh", "--yes", "--skip-preview")
    gone = {"vpn-uk-private-default-route", "vpn-au-probe-host"}
    assert before.keys() - pair.stack.ids().keys() == gone
    assert pair.stack.up().operations == dict.fromkeys(gone, "create")
    assert living_instances(pair.api) == instances_of(pair.stack.ids())


def test_up_continues_after_a_refused_call_and_a_ctrl_c_and_destroy_leaves_nothing(fresh: ProgramStack) -> None:
    fresh.api.add_fault(action="RunInstances", region=REGIONS["uk"], code="VcpuLimitExceeded")
    refused = fresh.up(code=1)
    assert "(VcpuLimitExceeded) when calling the RunInstances operation" in refused.output
    assert "Traceback" not in refused.output
    made = fresh.ids()
    assert len(made) > 20

    # Launches are slow, so that one is running when Ctrl-C comes, in any order of the launches.
    fresh.api.add_fault(action="RunInstances", code="", seconds="2", times="4")
    interrupted = fresh.interrupted("up", lambda: sum(fault["times"] for fault in fresh.api.faults()) < 4)
    assert "delete" not in str(interrupted.operations.values())
    assert {name: each for name, each in fresh.ids().items() if name in made} == made
    assert living_instances(fresh.api) == instances_of(fresh.ids()), "Ctrl-C loses no instance"

    continued = fresh.up()
    after = fresh.ids()
    assert set(continued.operations.values()) <= {"create", "update"}
    # An instance that was launched but not waited for may be updated. All other existing resources stay unchanged.
    updated = {name for name, operation in continued.operations.items() if operation == "update"}
    assert updated <= {f"vpn-{side}-{host}" for side in REGIONS for host in ("gateway", "probe-host")}
    assert {name: each for name, each in after.items() if name in made} == made
    assert living_instances(fresh.api) == instances_of(after)
    assert len(instances_of(after)) == 4

    fresh.destroy()
    assert left_over(fresh.api) == []


def test_destroy_removes_what_an_interrupted_up_has_created(fresh: ProgramStack) -> None:
    def half_way() -> bool:
        return any(call["action"] == "CreateNetworkInterface" for call in fresh.api.calls())

    fresh.interrupted("up", half_way)
    assert len(left_over(fresh.api)) > 2
    fresh.destroy()
    assert left_over(fresh.api) == []
