"""Find a real Pulumi on this machine that brings everything the lab would otherwise stand in for."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import settings
from lab.engine.versions import PACKAGES, plugin_version

OLDEST = (3, 238, 0)
"""What the project's own Pulumi.yaml requires; the stand-ins' protocol is that of 3.220 and newer."""


@dataclass(frozen=True)
class RealEngine:
    """An installed Pulumi with its Python language host and every resource plugin at the version the wheels ask for."""

    path: Path
    """The command itself, symbolic links followed."""
    version: str
    plugins: dict[str, Path]
    """Package -> executable of its plugin."""


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
        answer = subprocess.run(
            [str(command), "version"],
            capture_output=True,
            text=True,
            errors="replace",  # any program may have that name
            check=False,
            timeout=30,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.fullmatch(r"v(\d+\.\d+\.\d+)(?:[-+].*)?", answer.stdout.strip())
    return match[1] if match else None


def _plugin(package: str, search: str) -> Path | None:
    name = f"pulumi-resource-{package}"
    installed = _home() / "plugins" / f"resource-{package}-v{plugin_version(package)}"
    is_whole = not installed.with_name(f"{installed.name}.partial").exists()
    if is_whole and os.access(installed / name, os.X_OK):
        return installed / name
    found = shutil.which(name, path=search)
    return Path(found).resolve() if found else None


def _home() -> Path:
    """Where the user's Pulumi keeps plugins; after `lab env` PULUMI_HOME is the lab's own, which does not count."""
    named = os.environ.get("PULUMI_HOME")
    if named and Path(named).resolve() != settings.PULUMI_HOME.resolve():
        return Path(named)
    return Path.home() / ".pulumi"
