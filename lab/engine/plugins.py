"""Put resource plugins where the engine looks for them: `settings.PULUMI_HOME/plugins/resource-NAME-vX.Y.Z/`.

That place gives no warning, unlike PATH, and is found by name and exact version only.
"""

import os
import shutil
from pathlib import Path

from lab import settings
from lab.engine import real
from lab.engine.build import launcher
from lab.engine.versions import PACKAGES, plugin_version


def install_plugins(home: Path | None = None) -> list[Path]:
    """Install a plugin for every package of the lab, in the version its installed SDK asks for.

    `home` is a PULUMI_HOME, by default the lab's own. Each plugin is a launcher of the stand-in, or a link to the real
    plugin where a complete real Pulumi is used. Other versions, which an earlier SDK asked for, are removed. Returns
    the executables.
    """
    own = real.find()
    home = home or settings.PULUMI_HOME
    return [_install(home / "plugins", package, own.plugins[package] if own else None) for package in PACKAGES]


def _install(folder: Path, package: str, plugin: Path | None) -> Path:
    place = _place(folder, package, plugin_version(package))
    for other in folder.glob(f"resource-{package}-v*"):
        if other != place and other.is_dir():
            shutil.rmtree(other)
    return _put(place, package, plugin)


def install_stand_in(package: str, version: str, home: Path) -> None:
    """Install the stand-in for `package` in the version that a program's SDK asks for, unless it is there.

    SDKs of other languages than Python have versions of their own; a package without a stand-in is left to the engine.
    """
    place = _place(home / "plugins", package, version.removeprefix("v"))
    if package in PACKAGES and not place.exists():
        _put(place, package, None)


def _place(folder: Path, package: str, version: str) -> Path:
    return folder / f"resource-{package}-v{version}"


def _put(place: Path, package: str, plugin: Path | None) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    executable = place / f"pulumi-resource-{package}"
    draft = place / f".draft.{os.getpid()}"
    if plugin is not None:
        draft.symlink_to(plugin)
    else:
        draft.write_text(launcher(f"lab.resource_plugins.{package}"))
        draft.chmod(0o755)
    # Renamed, never rewritten: a running engine may be starting the very file.
    draft.replace(executable)
    return executable
