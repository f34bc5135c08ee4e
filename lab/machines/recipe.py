"""The content of a guest image: like Debian's EC2 image for user data, without parts that only cost emulated CPU."""

import textwrap
from dataclasses import dataclass

import yaml

from lab import settings
from lab.machines.releases import Release

PACKAGES = (
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "zstd",
    "busybox",
    "systemd-sysv",
    "systemd-resolved",
    "dbus",
    "udev",
    "kmod",
    "netbase",
    "procps",
    "cloud-init",
    "e2fsprogs",
    "openssh-server",
    "sudo",
    "python3",
    "curl",
    "ca-certificates",
    "iproute2",
    "iputils-ping",
    "tcpdump",
    "qemu-guest-agent",
)
"""Packages in the image; the release's DHCP client is added."""

MIRRORED_PACKAGES = ("libreswan", "iptables", "nftables", "conntrack", "jq", "unattended-upgrades")
"""Packages that a guest can install: these and all their dependencies are in the lab's package mirror.

Debian's EC2 image contains unattended-upgrades. Here, a test installs it, because it slows every boot.
"""

TOOL_PACKAGES = ("libreswan", "iptables")
"""Packages that the tool root has in addition, for tests that check configuration with the real tools."""

DISK_BYTES = 8 * 1024**3
"""Size of the root disk in the image, as of Debian's images; the file is sparse. A guest sees that of its volume."""

ENABLED_UNITS = ("systemd-networkd.service", "ssh.service")
MASKED_UNITS = (
    # Timers for a long-lived server; here they only slow the boot.
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "man-db.timer",
    # File systems and drivers that nothing here uses; each starts at least one process at boot.
    "dev-hugepages.mount",
    "getty@tty1.service",
    "modprobe@drm.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-pstore.service",
)

DPKG_OPTIONS = (
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "force-unsafe-io",
)


@dataclass(frozen=True)
class File:
    """A file of the image."""

    path: str
    """Relative to the image's root."""
    content: str
    mode: int = 0o644


INITRAMFS_FILES = (
    File("conf.d/lab", "MODULES=list\n"),
    File("modules", "virtio_pci\nvirtio_blk\nvirtio_net\next4\n"),
    # These two replace scripts of the package udev: without it, an emulated processor boots some 5 s faster. The kernel
    # creates the root disk's device. udev starts when that disk is mounted.
    File("scripts/init-top/udev", "#!/bin/sh\n", mode=0o755),
    File(
        "scripts/init-bottom/udev",
        '#!/bin/sh\n[ "$1" = prereqs ] || mount -n -o move /dev "$rootmnt/dev"\n',
        mode=0o755,
    ),
)
"""Configuration of the initramfs, relative to /etc/initramfs-tools."""


def files(release: Release, ca_certificate_pem: str) -> tuple[File, ...]:
    """Return the files that turn plain Debian into an EC2 image of the lab."""
    return (
        File("etc/hostname", "localhost\n"),
        File("etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"),
        File("etc/fstab", "/dev/vda / ext4 rw,noatime,errors=remount-ro 0 1\n"),
        # Empty: systemd writes a new one at the first boot and does not start the units of a first boot.
        File("etc/machine-id", ""),
        File("etc/apt/sources.list", f"deb [trusted=yes] http://{settings.MIRROR_HOST}/{release.codename} ./\n"),
        File("etc/cloud/cloud.cfg.d/01_debian_cloud.cfg", _cloud_config()),
        # On one line, because ds-identify reads this file with a shell.
        File("etc/cloud/cloud.cfg.d/99_datasource.cfg", "datasource_list: [ Ec2 ]\n" + _datasource()),
        File("usr/local/share/ca-certificates/lab.crt", ca_certificate_pem),
    )


def _cloud_config() -> str:
    # https://salsa.debian.org/cloud-team/debian-cloud-images: the user of Debian's EC2 images is `admin`.
    return yaml.safe_dump(
        {
            "apt": {"preserve_sources_list": True},
            "disable_root": True,
            "manage_etc_hosts": True,
            # The root file system is on the whole disk.
            "growpart": {"mode": "off"},
            "resize_rootfs": True,
            "locale": "C.UTF-8",
            # Debian's images also generate an RSA key, which takes an emulated processor several seconds.
            "ssh_genkeytypes": ["ed25519", "ecdsa"],
            "system_info": {
                "default_user": {
                    "name": "admin",
                    "gecos": "Debian",
                    "groups": ["adm", "audio", "cdrom", "dialout", "dip", "floppy", "plugdev", "sudo", "video"],
                    "lock_passwd": True,
                    "shell": "/bin/bash",
                    "sudo": ["ALL=(ALL) NOPASSWD:ALL"],
                },
                "network": {"renderers": ["networkd"]},
            },
        }
    )


def _datasource() -> str:
    return textwrap.dedent("""\
        datasource:
          Ec2:
            strict_id: false
            timeout: 10
            max_wait: 60
    """)
