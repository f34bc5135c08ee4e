"""Runs the guest's own tools on configuration under test, without booting a machine."""

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.machines.image import tool_root

CHROOT_SCRIPT = Path(__file__).with_name("chroot.sh")


def run(
    release: str,
    argv: Sequence[str],
    files: Mapping[str, str | bytes] | None = None,
    *,
    stdin: str = "",
    timeout: float = 600.0,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` as root in a temporary copy of `release` (`debian-12`, `debian-13`) with Libreswan and iptables.

    `files` maps absolute paths to contents, which are written first: executable if they begin with `#!`, else with mode
    0600. The command has its own mounts, processes and network (only a loopback that is down), so that
    `iptables-restore` can really load rules, which finds more errors than `--test`. Nothing remains afterwards. The
    caller checks the exit code; 127 means that the command does not exist. Raises subprocess.TimeoutExpired after
    `timeout` seconds, and what `ensure_image` raises. Needs root.
    """
    lower = tool_root(release)
    with tempfile.TemporaryDirectory(prefix="lab-toolroot-") as directory:
        store, content = Path(directory) / "store", Path(directory) / "files"
        store.mkdir()
        content.mkdir()
        for path, text in (files or {}).items():
            _write(content, path, text)
        # The store is a tmpfs: an overlay cannot write to another overlay, and /tmp is one in a container.
        script = 'mount -t tmpfs tmpfs "$3"; exec "$@"'
        isolated = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        return subprocess.run(
            [*isolated, "sh", "-euc", script, "sh", str(CHROOT_SCRIPT), str(lower), str(store), str(content), *argv],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def _write(directory: Path, path: str, content: str | bytes) -> None:
    if not path.startswith("/"):
        raise ValueError(f"the file {path!r} of the tool root is not an absolute path; use e.g. '/etc/ipsec.conf'")
    data = content.encode() if isinstance(content, str) else content
    target = directory / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    target.chmod(0o755 if data.startswith(b"#!") else 0o600)
