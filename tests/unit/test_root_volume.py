"""A root volume that becomes larger: what the engine may do, and how partition and file system follow.

lsblk, findmnt, growpart and resize2fs are stand-ins here. Does not prove what the tools do
(tests/scenarios/test_root_volume.py), nor that AWS's volume grows (tests/engine/test_changes.py). Nothing to clean up.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.decisions.root_volume import shrink_refusal
from tests.unit.recording import Deployment, deploy_pair
from vpn_configure import main, root_volume
from vpn_configure.errors import ConfigureError
from vpn_configure.files import File
from vpn_configure.machine import Done, Machine

GIB = root_volume.GIB
GROWN = "root file system: grown on a volume of 20 GiB"


class Tools:
    """A machine's disk, and the tools that look at it and change it."""

    def __init__(self, root: Path, *, partition_gib: float | None, disk_gib: int, kind: str = "ext4") -> None:
        self.machine = Machine(root, self.run)
        self.kind = kind
        self.sizes = [disk_gib]
        """The disk's size at each look; the last one stays."""
        self.partition_bytes = None if partition_gib is None else int(partition_gib * GIB)
        self.file_system_bytes = self.partition_bytes or 8 * GIB
        self.answers: dict[str, Done] = {}
        """Program -> what it answers instead."""
        self.did: list[str] = []
        """What was asked that changes something."""
        self.machine.write("/sys/class/block/nvme0n1p1/partition", File(0o644, "1\n"))
        self.machine.write("/sys/class/block/nvme0n1p1/start", File(0o644, "2048\n"))

    @property
    def source(self) -> str:
        """The device of the file system."""
        return "/dev/nvme0n1" if self.partition_bytes is None else "/dev/nvme0n1p1"

    def run(self, argv: Sequence[str], _seconds: float) -> Done:
        """Answer a command."""
        program, *arguments = argv[3:] if argv[0] == "env" else argv
        if program in self.answers:
            return self.answers[program]
        disk_bytes = self.sizes[0] * GIB
        match program:
            case "findmnt":
                return Done(0, f"{self.source}   {self.kind}")
            case "lsblk":
                assert arguments[-1] == self.source
                if len(self.sizes) > 1:
                    disk_bytes = self.sizes.pop(0) * GIB
                return Done(0, json.dumps({"blockdevices": [self.layers(disk_bytes)]}))
            case "growpart":
                self.did.append(" ".join([program, *arguments]))
                self.partition_bytes = disk_bytes - 2 * 1024**2
                return Done(0, "CHANGED: partition=1")
            case "resize2fs":
                device_bytes = self.partition_bytes or disk_bytes
                if self.file_system_bytes == device_bytes:
                    return Done(0, "The filesystem is already 2 (4k) blocks long.  Nothing to do!")
                self.did.append(" ".join([program, *arguments]))
                self.file_system_bytes = device_bytes
                return Done(0, "resized")
        raise AssertionError(argv)

    def layers(self, disk_bytes: int) -> dict[str, Any]:
        """Return the device of the file system and those below it, as lsblk does."""
        lowest = {"name": "nvme0n1", "type": "disk", "size": disk_bytes}
        if self.partition_bytes is None:
            return lowest
        return {"name": "nvme0n1p1", "type": "part", "size": self.partition_bytes, "children": [lowest]}

    def grow(self, gib: int, wait: float = 0) -> str:
        """Return what vpn-configure says."""
        return root_volume.grow(self.machine, gib, wait)

    def refusal(self, gib: int) -> str:
        """Return why it fails."""
        with pytest.raises(ConfigureError) as error:
            self.grow(gib)
        return str(error.value)


@pytest.mark.parametrize(("before", "wanted"), [(8, 8), (8, 20), (None, 8)])
def test_a_running_machine_may_have_the_same_or_a_larger_volume(before: int | None, wanted: int) -> None:
    assert shrink_refusal("uk-gateway", "urn:pulumi:i", before=before, wanted=wanted) == ""


def test_a_smaller_volume_is_refused_with_the_value_the_rule_and_both_remedies() -> None:
    assert shrink_refusal("uk-gateway", "urn:pulumi:i", before=20, wanted=8) == (
        "root_volume_size '8': is less than the 20 GiB of uk-gateway's root volume, and a volume cannot shrink; "
        "set it to 20 or more, or replace the machine: pulumi up --replace 'urn:pulumi:i'"
    )


def test_the_command_on_the_gateway_has_the_size_and_waits_for_the_instance(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, {**article, "left": {**article["left"], "root_volume_size": 20}})
    command = recorder.named("vpn-uk-configure")
    assert " --root-volume 20 " in f"{command.inputs['create']} ".replace("\n", " ")
    assert " --root-volume 8 " in f"{recorder.named('vpn-au-configure').inputs['create']} ".replace("\n", " ")
    assert "vpn-uk-gateway" in command.depends_on
    for machine in ("gateway", "probe-host"):
        assert recorder.named(f"vpn-uk-{machine}").inputs["rootBlockDevice"]["volumeSize"] == 20
        assert not recorder.named(f"vpn-uk-{machine}").request.replaceOnChanges


def test_partition_and_file_system_follow_a_larger_volume(tmp_path: Path) -> None:
    tools = Tools(tmp_path, partition_gib=7.9, disk_gib=20)
    assert tools.grow(20) == GROWN
    assert tools.did == ["growpart /dev/nvme0n1 1", "resize2fs /dev/nvme0n1p1"]
    tools.did.clear()
    assert (tools.grow(20), tools.did) == ("", [])


def test_a_file_system_on_the_whole_disk_needs_no_partition_to_grow(tmp_path: Path) -> None:
    tools = Tools(tmp_path, partition_gib=None, disk_gib=20)
    assert tools.grow(20) == GROWN
    assert tools.did == ["resize2fs /dev/nvme0n1"]
    tools.did.clear()
    assert (tools.grow(20), tools.did) == ("", [])


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_volume_that_is_used_whole_changes_nothing(tmp_path: Path, kind: str) -> None:
    # 1 MiB before the partition, and the second partition table behind it.
    tools = Tools(tmp_path, partition_gib=8 - 3 / 1024, disk_gib=8, kind=kind)
    assert (tools.grow(8), tools.did) == ("", [])


def test_a_run_that_was_killed_between_the_two_is_finished_by_the_next(tmp_path: Path) -> None:
    tools = Tools(tmp_path, partition_gib=20 - 3 / 1024, disk_gib=20)
    tools.file_system_bytes = 8 * GIB
    assert tools.grow(20) == GROWN
    assert tools.did == ["resize2fs /dev/nvme0n1p1"]


def test_a_new_size_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = list[float]()
    monkeypatch.setattr(root_volume, "time", SimpleNamespace(monotonic=lambda: len(slept), sleep=slept.append))
    tools = Tools(tmp_path, partition_gib=None, disk_gib=8)
    tools.sizes = [8, 8, 20]
    assert tools.grow(20, wait=10) == GROWN
    assert slept == [1, 1]


def test_a_size_that_does_not_appear_in_time_is_an_error_that_names_both_sizes(tmp_path: Path) -> None:
    said = Tools(tmp_path, partition_gib=None, disk_gib=8).refusal(20)
    assert said.startswith("the root volume is to have 20 GiB, but /dev/nvme0n1 has 8 after 0 s: ")


def test_a_volume_that_was_made_larger_by_hand_is_used_whole(tmp_path: Path) -> None:
    tools = Tools(tmp_path, partition_gib=7.9, disk_gib=30)
    assert tools.grow(20) == "root file system: grown on a volume of 30 GiB"


def test_a_file_system_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    tools = Tools(tmp_path, partition_gib=7.9, disk_gib=20, kind="xfs")
    assert (tools.grow(20), tools.did) == ("", [])


def test_a_file_system_that_is_on_no_block_device_is_left_alone(tmp_path: Path) -> None:
    tools = Tools(tmp_path, partition_gib=7.9, disk_gib=20)
    tools.answers["lsblk"] = Done(32, "lsblk: /dev/root: not a block device")
    assert (tools.grow(20), tools.did) == ("", [])


@pytest.mark.parametrize("disks", [1, 2])
def test_a_file_system_on_other_layers_is_left_alone(tmp_path: Path, disks: int) -> None:
    tools = Tools(tmp_path, partition_gib=7.9, disk_gib=8)
    below = [tools.layers(8 * GIB)] * disks
    mapped = {"name": "vg-root", "type": "lvm", "size": GIB, "children": below}
    tools.answers["lsblk"] = Done(0, json.dumps({"blockdevices": [mapped]}))
    assert (tools.grow(20), tools.did) == ("", [])


def test_growpart_that_finds_nothing_to_grow_is_no_error(tmp_path: Path) -> None:
    tools = Tools(tmp_path, partition_gib=7.9, disk_gib=20)
    tools.file_system_bytes = GIB
    tools.answers["growpart"] = Done(1, "NOCHANGE: partition 1 is size 16777216. it cannot be grown")
    assert tools.grow(20) == GROWN


@pytest.mark.parametrize(
    ("program", "done", "said"),
    [
        ("growpart", Done(127, "growpart does not exist"), "apt-get install cloud-guest-utils, then pulumi up"),
        ("growpart", Done(2, "FAILED: busy"), "growpart /dev/nvme0n1 1 fails with 2: FAILED: busy"),
        ("growpart", Done(1, "FAILED: sfdisk"), "growpart /dev/nvme0n1 1 fails with 1: FAILED: sfdisk"),
        ("resize2fs", Done(1, "no space"), "resize2fs /dev/nvme0n1p1 fails with 1: no space"),
        ("findmnt", Done(1, ""), "findmnt --noheadings --nofsroot --output SOURCE,FSTYPE / fails with 1: "),
    ],
)
def test_a_tool_that_fails_is_an_error_with_its_words(tmp_path: Path, program: str, done: Done, said: str) -> None:
    tools = Tools(tmp_path, partition_gib=7.9, disk_gib=20)
    tools.answers[program] = done
    assert said in tools.refusal(20)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a call of vpn-configure that configures nothing but says so."""
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(main, "Machine", lambda: Machine(tmp_path))
    monkeypatch.setattr(main, "signal", SimpleNamespace(signal=lambda *_: None, SIGHUP=1, SIG_IGN=1))
    monkeypatch.setattr(main, "os", SimpleNamespace(geteuid=lambda: 0, umask=lambda _: 0))
    monkeypatch.setattr(main, "configure", lambda *_: ["revision r1"])

    def run(*options: str) -> int:
        monkeypatch.setattr(sys, "argv", ["vpn-configure", "--revision", "r1", *options])
        return main.main()

    return run


def test_vpn_configure_grows_before_it_changes_files_and_only_if_it_is_given_a_size(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(root_volume, "grow", lambda _machine, gib: f"grown to {gib}")
    assert run("--root-volume", "20") == 0
    assert capsys.readouterr().out == "grown to 20\nrevision r1\n"
    assert run() == 0
    assert capsys.readouterr().out == "revision r1\n"


def test_files_are_changed_also_when_the_volume_cannot_be_used_and_the_command_fails(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def grow(*_: object) -> str:
        raise ConfigureError("resize2fs fails")

    monkeypatch.setattr(root_volume, "grow", grow)
    assert run("--root-volume", "20") == 1
    assert tuple(capsys.readouterr()) == ("revision r1\n", "vpn-configure: resize2fs fails\n")
