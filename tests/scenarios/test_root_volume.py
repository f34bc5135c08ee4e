"""A larger root volume of uk's machines, by `pulumi up` on the running pair, with traffic between the private hosts.

Proves that the volume and the file system of uk's gateway grow at once, that nothing is lost, that no instance is
replaced, and that both are still so after a reboot; and that the file system follows at a boot without a login. Does
not prove growpart: the lab's file system is on the whole disk, without a partition (tests/unit/test_root_volume.py).
`pytest tests/scenarios/test_root_volume.py`. In the end, uk's machines are replaced by such with the volume of before.
"""

from collections.abc import Iterator

import pytest

from lab import settings
from tests.scenarios import runner, sites
from tests.scenarios.conftest import record
from tests.scenarios.diagnosis import answers
from tests.scenarios.gateway import BOOT_SECONDS, Gateway, wait_until
from tests.scenarios.in_place import Program
from tests.scenarios.report import Result
from tests.scenarios.scenario import Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

pytestmark = pytest.mark.timeout(1200)

GIB = 1024**3
LARGER, LARGEST = 10, 12
OVERHEAD = 1
"""GiB that the file system's own tables take at most."""
HICCUP_SECONDS = 0.25


@pytest.fixture(scope="module")
def program(running_stack: None) -> Iterator[Program]:
    """Yield the program; in the end uk's machines have a volume of the checkout's size again."""
    made = Program(settings.STATE / "root-volume")
    yield made
    made.reset()
    uk = sites.find().uk
    refused = made.red_up()
    assert "'s root volume, and a volume cannot shrink" in refused
    made.up_with_other_instances(
        *(word for host in (uk.gateway, uk.private_host) for word in ("--replace", host.urn()))
    )


def file_system_gib(gateway: Gateway) -> float:
    """Return the size of the root file system."""
    return int(gateway.run("df --output=size --block-size=1 / | tail -n 1")) / GIB


def reboot(gateway: Gateway) -> None:
    """Reboot a gateway and wait for its tunnel."""
    gateway.request_reboot()
    gateway.wait_until_down()
    gateway.wait_until_booted()
    wait_until(
        f"both tunnels work after the reboot of {gateway.name}",
        lambda: {look.diagnosis for look in answers.ask(sites.find().gateways).values()} == {"ok"},
        BOOT_SECONDS,
    )


def test_a_larger_root_volume_is_used_at_once_loses_nothing_and_outlives_a_reboot(
    program: Program, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    before, uk = sites.find().gateways, sites.find().uk.gateway
    assert file_system_gib(uk) < LARGER - OVERHEAD

    def steps(_pair: Pair, _variant: Variant) -> Steps:
        program.configure(leftRootVolumeSize=LARGER)
        program.up()
        yield

    lossless = Expectation(limit_seconds=0, lossless=True, hiccup_seconds=HICCUP_SECONDS)
    title = f"uk's root volume gets {LARGER} GiB"
    scenario = Scenario(
        name="in-place-root-volume",
        title=title,
        seconds=40,
        description=f"{title} by `pulumi up`, on the running gateway.",
        expectation=lossless if judged_by_time else lossless.untimed(),
        steps=steps,
        at=("uk",),
    )
    result = runner.run(scenario, stream)
    record(result, results)
    assert result.failures == ()
    assert sites.find().gateways == before, "the instances are the same"
    assert LARGER - OVERHEAD < file_system_gib(uk) <= LARGER
    reboot(uk)
    assert LARGER - OVERHEAD < file_system_gib(uk) <= LARGER


def test_without_a_login_the_file_system_follows_at_the_next_boot(program: Program) -> None:
    uk = sites.find().uk.gateway
    [reservation] = uk.ec2.describe_instances(InstanceIds=[uk.id])["Reservations"]
    [mapping] = reservation["Instances"][0]["BlockDeviceMappings"]
    small = file_system_gib(uk)
    uk.ec2.modify_volume(VolumeId=mapping["Ebs"]["VolumeId"], Size=LARGEST)
    disk = "lsblk --nodeps --noheadings --bytes --output SIZE $(findmnt --noheadings --output SOURCE /)"
    wait_until("the disk is larger", lambda: int(uk.run(disk)) == LARGEST * GIB, 60)
    assert file_system_gib(uk) == small
    reboot(uk)
    assert LARGEST - OVERHEAD < file_system_gib(uk) <= LARGEST
    program.configure(leftRootVolumeSize=LARGEST)
    program.up("--refresh")
