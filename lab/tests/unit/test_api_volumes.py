"""ModifyVolume: the new size takes effect some time later, no volume shrinks, one modification at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.tests.unit.api_stack import Site, error_code, error_message, served_api, uk


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with served_api() as url:
        yield uk(url)


@pytest.fixture
def volume(site: Site) -> str:
    zone = f"{site.ec2.meta.region_name}a"
    return str(site.ec2.create_volume(Size=8, AvailabilityZone=zone, VolumeType="gp3")["VolumeId"])


def look(site: Site, volume: str) -> tuple[str, int]:
    """Return the state of the last modification, and the volume's size."""
    [modification] = site.ec2.describe_volumes_modifications(VolumeIds=[volume])["VolumesModifications"]
    [described] = site.ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    return modification["ModificationState"], described["Size"]


def test_a_new_size_counts_once_the_modification_is_optimizing(
    site: Site, volume: str, step: Callable[[], None]
) -> None:
    answer: Any = site.ec2.modify_volume(VolumeId=volume, Size=20)["VolumeModification"]
    assert (answer["OriginalSize"], answer["TargetSize"], answer["ModificationState"]) == (8, 20, "modifying")
    assert look(site, volume) == ("modifying", 8)
    step()
    assert look(site, volume) == ("optimizing", 20)
    step()
    assert look(site, volume) == ("completed", 20)


def test_a_volume_cannot_be_made_smaller(site: Site, volume: str) -> None:
    smaller: Any = {"VolumeId": volume, "Size": 7}
    assert error_code(site.ec2.modify_volume, **smaller) == "InvalidParameterValue"
    assert error_message(site.ec2.modify_volume, **smaller) == "New size cannot be smaller than existing size"
    site.ec2.modify_volume(VolumeId=volume, Size=8)


def test_a_volume_is_not_modified_again_before_its_modification_is_completed(
    site: Site, volume: str, step: Callable[[], None]
) -> None:
    larger: Any = {"VolumeId": volume, "Size": 20}
    site.ec2.modify_volume(**larger)
    for state in ("modifying", "optimizing"):
        assert look(site, volume)[0] == state
        assert error_code(site.ec2.modify_volume, **larger) == "IncorrectModificationState"
        step()
    assert look(site, volume)[0] == "completed"
    site.ec2.modify_volume(**larger)
