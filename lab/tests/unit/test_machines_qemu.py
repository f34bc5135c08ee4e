"""A virtual machine's hardware: the properties by which a guest recognises EC2."""

import re
from itertools import pairwise
from pathlib import Path

from lab.machines import qemu
from lab.machines.qemu import Hardware

HARDWARE = Hardware(
    instance_id="i-0123456789abcdef0",
    instance_type="t3.micro",
    mac_address="0a:00:00:00:00:0a",
    tap="tap456789abcdef0",
    kernel=Path("/k"),
    initrd=Path("/i"),
    disk=Path("/a,b/disk.qcow2"),
    console=Path("/console.log"),
    qmp_socket=Path("/qmp.sock"),
    agent_socket=Path("/agent.sock"),
    accelerator="tcg",
)


def values(option: str, hardware: Hardware = HARDWARE) -> list[str]:
    command = qemu.command(hardware)
    return [value for name, value in pairwise(command) if name == option]


def test_the_network_interface_is_in_the_slot_that_the_guest_names_ens5() -> None:
    (card,) = (device for device in values("-device") if device.startswith("virtio-net"))
    assert "addr=0x5" in card.split(",")
    assert "mac=0a:00:00:00:00:0a" in card.split(",")
    assert values("-M") == ["pc"]


def test_the_firmware_identifies_amazon_ec2() -> None:
    uuid = qemu.system_uuid(HARDWARE.instance_id)
    assert re.fullmatch(r"ec2[0-9a-f]{5}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", uuid)
    system = next(value for value in values("-smbios") if value.startswith("type=1"))
    assert {"manufacturer=Amazon EC2", "product=t3.micro", f"uuid={uuid}", f"serial={uuid}"} <= set(system.split(","))


def test_the_uuid_of_an_instance_is_stable_and_unique() -> None:
    assert qemu.system_uuid("i-1") == qemu.system_uuid("i-1") != qemu.system_uuid("i-2")


def test_every_boot_appends_to_the_console_log() -> None:
    assert "file,id=console,path=/console.log,append=on" in values("-chardev")


def test_a_comma_in_a_path_does_not_end_the_option() -> None:
    assert any("filename=/a,,b/disk.qcow2," in value for value in values("-blockdev"))


def test_a_guest_can_reboot_itself() -> None:
    assert "-no-reboot" not in qemu.command(HARDWARE)
    assert values("-action") == ["shutdown=pause,reboot=reset"]
