"""A host: an instance without user data, which is a namespace with sshd over the guest image's files."""

import logging
import shutil
import time
from pathlib import Path

from lab import processes
from lab.machines import mounts
from lab.machines.image import GuestImage
from lab.machines.metadata import tree
from lab.machines.metadata.tree import Subject
from lab.machines.record import Machine
from lab.machines.toolroot import CHROOT_SCRIPT
from lab.network import names

_log = logging.getLogger("lab.machines")

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_START_SCRIPT = """\
set -eu
hostname "$1"
# The default of systemd (50-default.conf), which does not run here: every user may ping.
sysctl -q -w net.ipv4.ping_group_range='0 2147483647'
sed -i '/127.0.1.1/d' /etc/hosts
echo "127.0.1.1 $2 $1" >>/etc/hosts
id admin >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --groups sudo admin
install -d -m 0700 -o admin -g admin /home/admin/.ssh
install -m 0600 -o admin -g admin /etc/ssh/lab_authorized_keys /home/admin/.ssh/authorized_keys
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -C "root@$1" -f /etc/ssh/ssh_host_ed25519_key
exec /usr/sbin/sshd -D -e -o HostKey=/etc/ssh/ssh_host_ed25519_key
"""


def start(machine: Machine, subject: Subject, image: GuestImage) -> Machine:
    """Start the host's sshd in new namespaces, with the files of its earlier run. Return the new record."""
    machine.directory.mkdir(parents=True, exist_ok=True)
    files = machine.directory / "files"
    _write_files(files, subject)
    started = machine.with_changes(started_at=time.time(), reboots=subject.instance.reboots)
    short, full = tree.short_name(subject), tree.private_name(subject)
    isolated = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    inside = ["sh", "-c", _START_SCRIPT, "sh", short, full]
    processes.start(
        machine.process_name,
        [*isolated, str(CHROOT_SCRIPT), str(image.root), str(machine.directory / "store"), str(files), *inside],
        log=machine.console,
        namespace=machine.namespace,
        environment=_ENVIRONMENT,
    )
    _log.info("%s (%s): started as a host", machine.name, machine.id)
    return started


def stop(machine: Machine) -> None:
    """End all processes of the host; keep its files."""
    processes.stop(machine.process_name)
    _log.info("%s (%s): stopped", machine.name, machine.id)


def remove(machine: Machine) -> None:
    """End all processes of the host and delete its files."""
    processes.stop(machine.process_name)
    mounts.remove_tree(machine.directory)
    _log.info("%s (%s): removed", machine.name, machine.id)


def first_process(machine: Machine) -> int | None:
    """Return the pid, in the root namespace, of the host's process 1; None while the host does not run."""
    process = machine.process
    children = process.children() if process else []
    return children[0].pid if children else None


def enter(pid: int) -> list[str]:
    """Return the command prefix that runs a command in the host's namespaces and files."""
    namespaces = ("--mount", "--uts", "--ipc", "--pid", "--net")
    environment = ("HOME=/root", *(f"{name}={value}" for name, value in _ENVIRONMENT.items()))
    return ["nsenter", f"--target={pid}", *namespaces, "--root", "--wd", "env", "--ignore-environment", *environment]


def _write_files(files: Path, subject: Subject) -> None:
    shutil.rmtree(files, ignore_errors=True)
    keys = files / "etc/ssh/lab_authorized_keys"
    keys.parent.mkdir(parents=True)
    keys.write_text((subject.instance.ssh_public_key or "").strip() + "\n")
    sudoers = files / "etc/sudoers.d/90-admin"
    sudoers.parent.mkdir(parents=True)
    sudoers.write_text("admin ALL=(ALL) NOPASSWD:ALL\n")
    sudoers.chmod(0o440)
    # The file that `ip netns exec` gives a process in this namespace.
    resolv_conf = Path("/etc/netns") / names.host_namespace(subject.instance.id) / "resolv.conf"
    if resolv_conf.exists():
        shutil.copyfile(resolv_conf, files / "etc/resolv.conf")
