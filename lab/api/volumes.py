"""Changes of a volume while it is in use: what AWS refuses, and the time that a change takes."""

from typing import Final, cast

from moto.ec2.models.elastic_block_store import Volume, VolumeModification

from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import ec2_error
from lab.api.state import later

_STATES_PAGE: Final = "ebs/latest/userguide/monitoring-volume-modifications.html"
_ACTION_PAGE: Final = "AWSEC2/latest/APIReference/API_ModifyVolume.html"


class TimedModification(VolumeModification):
    """A change of a volume, which passes through its states."""

    lab_state: str = "modifying"

    @property
    @corrects("A modification is modifying, then optimizing, then completed.", _STATES_PAGE)
    def modification_state(self) -> str:
        return self.lab_state

    @property
    @corrects("The progress is 100 only when a modification is completed.", _STATES_PAGE)
    def progress(self) -> int:
        return 100 if self.lab_state == "completed" else 0


class ChangingVolume(Volume):
    """A volume whose new size counts some time after the call."""

    @corrects("A volume has its new size once its modification is optimizing.", _STATES_PAGE)
    def modify(
        self,
        target_size: int | None = None,
        target_volume_type: str | None = None,
        target_iops: int | None = None,
        target_throughput: int | None = None,
        target_multi_attach_enabled: bool | None = None,
    ) -> None:
        before = self.size
        super().modify(target_size, target_volume_type, target_iops, target_throughput, target_multi_attach_enabled)
        after, self.size = self.size, before
        # moto makes them of the class that replaces its own.
        modification = cast("TimedModification", self.modifications[-1])
        region = self.ec2_backend.region_name

        def complete() -> bool:
            modification.lab_state = "completed"
            return True

        def take_effect() -> bool:
            self.size = after
            modification.lab_state = "optimizing"
            later(region, complete)
            return True

        later(region, take_effect)


@refuses("ModifyVolume", rule="A volume cannot be made smaller.", source=_ACTION_PAGE)
def volume_is_not_shrunk(call: Call) -> None:
    """InvalidParameterValue."""
    size = call.parameter("Size")
    if size is not None and int(size) < call.backend.get_volume(call.parameter("VolumeId")).size:
        raise ec2_error("InvalidParameterValue", "New size cannot be smaller than existing size")


@refuses(
    "ModifyVolume",
    rule="A volume is changed again only after its last modification is completed.",
    source="ebs/latest/userguide/modify-volume-requirements.html",
)
def volume_is_not_being_modified(call: Call) -> None:
    """IncorrectModificationState."""
    volume = call.backend.get_volume(call.parameter("VolumeId"))
    last = volume.modifications[-1].modification_state if volume.modifications else "completed"
    if last != "completed":
        raise ec2_error(
            "IncorrectModificationState",
            f"Volume {volume.id} cannot be modified in modification state {last.upper()}",
        )
