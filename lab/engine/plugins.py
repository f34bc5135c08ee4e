"""Install resource plugins where the engine looks for them: `settings.PULUMI_HOME/plugins/resource-NAME-vX.Y.Z/`.

The engine takes them from there without a warning, unlike from PATH, and only in the exact version.
"""

import os
import shutil
from pathlib import Path

from lab import settings
from lab.engine import real
from lab.engine.build import launcher
from lab.engine.versions import PACKAGES, plugin_version


def install_plugins(home: Path | None = None) -> list[Path]:
    """Install a plugin for every package of the lab, in the version that its installed SDK requires.

    `home` is a PULUMI_HOME, by default the lab's own. Each plugin is a launcher of the stand-in, or a link to the real
    plugin if a complete real Pulumi is used. Other versions are removed. Returns the executables.
    """
    installation = real.find()
    real_plugins = installation.plugins if installation else {}
    home = home or settings.PULUMI_HOME
    return [_install(home / "plugins", package, real_plugins.get(package)) for package in PACKAGES]


def _install(plugins: Path, package: str, real_plugin: Path | None) -> Path:
    folder = _folder(plugins, package, plugin_version(package))
    for other in plugins.glob(f"resource-{package}-v*"):
        if other != folder and other.is_dir():
            shutil.rmtree(other)
    return _write(folder, package, real_plugin)


def install_stand_in(package: str, version: str, home: Path) -> None:
    """Install the stand-in for `package` in the version that a program's SDK requires, unless it is installed.

    The SDKs of other languages than Python may require other versions. A package without a stand-in is left to the
    engine.
    """
    folder = _folder(home / "plugins", package, version.removeprefix("v"))
    if package in PACKAGES and not folder.exists():
        _write(folder, package, None)


def _folder(plugins: Path, package: str, version: str) -> Path:
    return plugins / f"resource-{package}-v{version}"


def _write(folder: Path, package: str, real_plugin: Path | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    executable = folder / f"pulumi-resource-{package}"
    draft = folder / f".draft.{os.getpid()}"
    if real_plugin is not None:
        draft.symlink_to(real_plugin)
    else:
        draft.write_text(launcher(f"lab.resource_plugins.{package}"))
        draft.chmod(0o755)
    # Renamed, never rewritten: a running engine may be starting this file.
    draft.replace(executable)
    return executable
