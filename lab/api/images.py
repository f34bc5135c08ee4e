"""Debian's machine images, as Debian publishes them in every region.

Source: https://wiki.debian.org/Cloud/AmazonEC2Image
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami

from lab.api.corrections import corrects

DEBIAN_OWNER: Final = "136693071363"
"""Debian's AWS account."""

ROOT_GIB: Final = 8
CODENAMES: Final = {12: "bookworm", 13: "trixie"}
BUILDS: Final = {
    12: ("20250316-2053", "20250814-2204", "20260112-2355", "20260811-2566"),
    13: ("20250814-2204", "20251117-2299", "20260112-2355", "20260901-2587"),
}
"""Release -> dates and numbers of its builds, oldest first."""


def image_id(region: str, release: int, build: str) -> str:
    """Return the AMI id of a build in a region: 17 hexadecimal digits, the same at every start of the lab."""
    return "ami-0" + sha256(f"{region}/debian-{release}-amd64-{build}".encode()).hexdigest()[:16]


class DebianImage(Ami):
    """A public Debian AMI for amd64."""

    def __init__(self, backend: EC2Backend, release: int, build: str) -> None:
        name = f"debian-{release}-amd64-{build}"
        super().__init__(
            backend,
            image_id(backend.region_name, release, build),
            name=name,
            description=f"Debian {release} ({build})",
            owner_id=DEBIAN_OWNER,
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            creation_date=datetime.strptime(build[:8], "%Y%m%d").replace(tzinfo=UTC, hour=22, minute=7, second=31),
            image_location=f"{DEBIAN_OWNER}/{name}",
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name="/dev/xvda",
            region_name=f"{backend.region_name}a",
            boot_mode="uefi-preferred",
        )
        self.ena_support = True
        self.platform_details = "Linux/UNIX"
        self.usage_operation = "RunInstances"
        self.ebs_snapshot.volume.size = ROOT_GIB

    @property
    @corrects(
        "The root device of a Debian image is an 8 GiB volume that is deleted with its instance.",
        "AWSEC2/latest/APIReference/API_EbsBlockDevice.html",
    )
    def block_device_mappings(self) -> list[dict[str, Any]]:
        volume = {
            "SnapshotId": self.ebs_snapshot.id,
            "VolumeSize": ROOT_GIB,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": volume}]


class ImageBackend(EC2Backend):
    """A region's images, all of them Debian's."""

    @corrects(
        "Debian publishes its images in every region, each with its own id.",
        "AWSEC2/latest/UserGuide/finding-an-ami.html",
    )
    def _load_amis(self) -> None:
        for release, builds in BUILDS.items():
            for build in builds:
                image = DebianImage(self, release, build)
                self.amis[image.id] = image
