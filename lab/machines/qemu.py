"""Hardware of an instance -> command line of qemu-system-x86_64(1). Pure."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.machines.accelerator import Accelerator

MEMORY_MIB = 512

# Nitro names the first interface ens5: PCI slot 5 of a machine whose firmware names its slots, as `pc` does.
_DISK_SLOT, _NETWORK_SLOT, _RANDOM_SLOT, _SERIAL_SLOT = "0x4", "0x5", "0x6", "0x7"

_KERNEL_ARGUMENTS = (
    "root=/dev/vda",
    "rw",
    "console=ttyS0",
    # Each of these features costs seconds of emulation and protects nothing here.
    "mitigations=off",
    "audit=0",
    "apparmor=0",
    # Emulation translates a library again for each address that a process has it at.
    "norandmaps",
    # The drivers of an IDE controller and of VM sockets. EC2 has neither, and loading them takes seconds of emulation.
    "module_blacklist=scsi_common,vsock",
    "loglevel=4",
    # No colours in the console log.
    "TERM=dumb",
)

DISK_NODE = "disk"
"""The name by which QEMU's monitor knows the root disk."""

# tb-size: MiB of translated code that QEMU keeps; all of it becomes resident. A first boot fills 480 MiB. When it is
# full, QEMU forgets all of it.
_ACCELERATION = {"kvm": "kvm", "tcg": "tcg,thread=multi,tb-size=512"}
# An emulated processor is faster without the registers of AVX, which each switch of processes saves. This one has AES.
_PROCESSOR = {"kvm": "max", "tcg": "Westmere"}


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The hardware of a virtual machine."""

    instance_id: str
    instance_type: str
    mac_address: str
    tap: str
    """Name of its persistent tap in the namespace in which QEMU runs."""
    kernel: Path
    initrd: Path
    disk: Path
    """qcow2."""
    console: Path
    """Appended to."""
    qmp_socket: Path
    agent_socket: Path
    accelerator: Accelerator


def command(hardware: Hardware) -> list[str]:
    """Return the command that runs QEMU."""
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"),
        *("-M", "pc", "-accel", _ACCELERATION[hardware.accelerator], "-cpu", _PROCESSOR[hardware.accelerator]),
        *("-smp", "1", "-m", str(MEMORY_MIB), "-rtc", "base=utc"),
        # When a guest powers itself off, QEMU stays and reports it; a reboot resets the guest.
        *("-action", "shutdown=pause,reboot=reset"),
        *("-kernel", str(hardware.kernel), "-initrd", str(hardware.initrd), "-append", " ".join(_KERNEL_ARGUMENTS)),
        *_identity(hardware),
        *("-blockdev", f"driver=file,node-name=file,filename={_escaped(hardware.disk)},cache.no-flush=on"),
        *("-blockdev", f"driver=qcow2,node-name={DISK_NODE},file=file,discard=unmap,cache.no-flush=on"),
        *("-device", f"virtio-blk-pci,drive={DISK_NODE},addr={_DISK_SLOT}"),
        *("-netdev", f"tap,id=network,ifname={hardware.tap},script=no,downscript=no"),
        *(
            "-device",
            f"virtio-net-pci,netdev=network,mac={hardware.mac_address},addr={_NETWORK_SLOT},romfile="
            f",host_mtu={settings.INTERNAL_MTU}",
        ),
        *("-object", "rng-random,id=random,filename=/dev/urandom"),
        *("-device", f"virtio-rng-pci,rng=random,addr={_RANDOM_SLOT}"),
        *("-chardev", f"file,id=console,path={_escaped(hardware.console)},append=on", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=agent,path={_escaped(hardware.agent_socket)},server=on,wait=off"),
        *("-device", f"virtio-serial-pci,addr={_SERIAL_SLOT}"),
        *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        *("-qmp", f"unix:{_escaped(hardware.qmp_socket)},server=on,wait=off"),
    ]


def system_uuid(instance_id: str) -> str:
    """Return the machine's SMBIOS UUID: always the same for an instance, starting with `ec2`.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/identify_ec2_instances.html
    """
    return "ec2" + str(uuid.uuid5(uuid.NAMESPACE_OID, instance_id))[3:]


def _identity(hardware: Hardware) -> list[str]:
    number = system_uuid(hardware.instance_id)
    system = f"type=1,manufacturer=Amazon EC2,product={hardware.instance_type},uuid={number},serial={number}"
    return [
        "-smbios",
        "type=0,vendor=Amazon EC2,version=1.0",
        "-smbios",
        system,
        "-smbios",
        f"type=2,manufacturer=Amazon EC2,asset={hardware.instance_id}",
    ]


def _escaped(path: Path) -> str:
    # In QEMU's option syntax a comma in a value is doubled.
    return str(path).replace(",", ",,")
