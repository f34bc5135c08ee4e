"""Files, commands and sockets of this machine."""

import os
import re
import socket
import subprocess

from metadata import ask
from vpn_verify.layer import LayerError


def read(path: str) -> str:
    """Return the file's text, or nothing when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def file(path: str) -> tuple[int, str] | None:
    """Return mode and text of a file, not of a link to one; None when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as opened:
            return os.lstat(path).st_mode & 0o7777, opened.read()
    except OSError:
        return None


def modified(path: str) -> float:
    """Return when a file was written; 0 when there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def run(command: str) -> str:
    """Return what a command printed, also when it failed."""
    return _run(command).stdout.strip()


def older(version: str, than: str) -> bool:
    """Return whether a version of a package is older than another one, by Debian's rules."""
    return not _run(f"dpkg --compare-versions {version} lt {than}").returncode


def _run(command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command.split(), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LayerError(f"{command}: {error}") from error


def ipsec_journal() -> str:
    """Return pluto's log of longer than it ever waits before it tries again, which is 5 minutes."""
    return run("journalctl -qu ipsec -ocat --since=-6min")


def date_and_public_address() -> tuple[str, str | None]:
    """Return the date and our public address as AWS has them.

    An empty address: there is none. An empty date or None: the metadata service does not tell.
    """
    try:
        head, address = ask("meta-data/public-ipv4", ask("api/token")[1])
    except OSError:
        return "", None
    date = re.search(r"^Date: (.{25} GMT)", head, re.M | re.I)
    return date[1] if date else "", {"200": address, "404": ""}.get(head[9:12])


def open_tcp(host: str, port: int) -> None:
    """Open a connection and close it; raises OSError."""
    socket.create_connection((host, port), 3).close()


def source(target: str) -> str:
    """Return the address that packets to the target leave from; raises OSError when no route leads to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((target, 500))
        return str(link.getsockname()[0])
