"""Find a real Pulumi on this machine that has everything the lab otherwise provides stand-ins for."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.engine.versions import PACKAGES, plugin_version

OLDEST = (3, 238, 0)
"""The version that the project's Pulumi.yaml requires; the protocol of the stand-ins needs 3.220."""


@dataclass(frozen=True)
class RealEngine:
    """An installed Pulumi with the Python language host and every resource plugin in the version of its Python SDK."""

    path: Path
    """The command, with symbolic links resolved."""
    version: str
    plugins: dict[str, Path]
    """Executable of the plugin of each package."""


def find() -> RealEngine | None:
    """Return the first `pulumi` on PATH outside the lab if it is complete, otherwise None."""
    folders = [folder for folder in os.get_exec_path() if folder and Path(folder).resolve() != settings.BIN.resolve()]
    search = os.pathsep.join(folders)
    command = shutil.which("pulumi", path=search)
    if command is None:
        return None
    path = Path(command).resolve()
    version = _version(path)
    if version is None or tuple(int(number) for number in version.split(".")) < OLDEST:
        return None
    beside = os.pathsep.join([str(path.parent), search])
    if shutil.which("pulumi-language-python", path=beside) is None:
        return None
    plugins = {package: plugin for package in PACKAGES if (plugin := _plugin(package, beside)) is not None}
    return RealEngine(path, version, plugins) if len(plugins) == len(PACKAGES) else None


def _version(command: Path) -> str | None:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            [str(command), "version"],
            capture_output=True,
            text=True,
            errors="replace",  # another program may have this name
            check=False,
            timeout=30,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"v(\d+\.\d+\.\d+)(?:[-+].*)?", done.stdout.strip())
    return match[1] if match else None


def _plugin(package: str, search: str) -> Path | None:
    name = f"pulumi-resource-{package}"
    installed = _home() / "plugins" / f"resource-{package}-v{plugin_version(package)}"
    is_complete = not installed.with_name(f"{installed.name}.partial").exists()
    if is_complete and os.access(installed / name, os.X_OK):
        return installed / name
    on_path = shutil.which(name, path=search)
    return Path(on_path).resolve() if on_path else None


def _home() -> Path:
    """Return the home of the user's Pulumi. PULUMI_HOME is ignored when it is the lab's own, as after `lab env`."""
    configured = os.environ.get("PULUMI_HOME")
    if configured and Path(configured).resolve() != settings.PULUMI_HOME.resolve():
        return Path(configured)
    return Path.home() / ".pulumi"
