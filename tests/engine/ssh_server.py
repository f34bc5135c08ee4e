"""A real OpenSSH server on 127.0.0.1 for one test, with its own port, host key and authorized key.

It is the guest's sshd, in the guest's file system, because installing openssh-server on this machine would start a
server of the machine. Needs root.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import asyncssh

from lab.machines.image import tool_root

_RELEASE = "debian-13"

_IN_THE_GUEST = """
lower=$1 folder=$2
mount -t tmpfs tmpfs "$folder/store"
cd "$folder/store"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=upper,workdir=work" root
mount --rbind /proc root/proc
mount --rbind /dev root/dev
mkdir -p root/run/sshd "root$folder"
mount --bind "${folder%/*}" "root${folder%/*}"
exec chroot root /usr/sbin/sshd -D -e -f "$folder/sshd_config"
"""
"""Script for sh(1) in its own mount namespace. $1 is the guest's file system, $2 the server's folder, whose parent
folder is mounted at the same path."""

_CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
AcceptEnv ALLOWED_*
"""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SshServer:
    """A server whose keys exist from the beginning, and which listens from `start` to the end of the `with` block."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = free_port()
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = host_key.export_public_key().decode()
        self.private_key = client_key.export_private_key().decode()
        (folder / "host_key").touch(mode=0o600)
        (folder / "host_key").write_bytes(host_key.export_private_key())
        (folder / "authorized_keys").write_bytes(client_key.export_public_key())
        (folder / "sshd_config").write_text(_CONFIGURATION.format(port=self.port, folder=folder))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when the server listens."""
        (self.folder / "store").mkdir()
        guest, folder = str(tool_root(_RELEASE)), str(self.folder)
        command = ["unshare", "--mount", "sh", "-euc", _IN_THE_GUEST, "sh", guest, folder]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        while not self._listens():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def __enter__(self) -> "SshServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
