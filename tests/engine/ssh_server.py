"""A real OpenSSH server on 127.0.0.1 for one test: own port, host key and authorized key, nothing of the machine's."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

import asyncssh

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")

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
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SshServer:
    """The server's keys exist from the beginning; it listens between `start` and the end of the `with` block."""

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

    def start(self, *, delay: float = 0.0) -> None:
        """Start listening after `delay` seconds; without a delay it listens when this returns."""
        assert SSHD is not None, "openssh-server is not installed"
        Path("/run/sshd").mkdir(exist_ok=True)
        command = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        if delay:
            command = ["/bin/sh", "-c", f'sleep {delay}; exec "$@"', "sh", *command]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        while not delay and not self._listens():
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
